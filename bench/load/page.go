package main

import (
	"fmt"
	"math"
	"strconv"
	"sync"
)

// Options of a page; every target of a run has the same.
type pageOptions struct {
	series  int
	reorder bool
	rename  float64 // share of the series that is renamed at every scrape
	relabel bool
}

type kind uint8

const (
	counter kind = iota
	gauge
	histogram
)

// line is one sample: where its text before the value is, the value, and the value as printed.
type line struct {
	start, end, pod uint32
	value           float64
	text            [24]byte
	textLen         uint8
}

// unit is what moves together: one counter or gauge, or all lines of one histogram.
type unit struct {
	first, end uint32
	kind       kind
	counted    bool // false where the relabel rules of the subject drop it
}

type family struct {
	header         []byte
	firstUnit, end uint32
}

// served describes one page: how many samples the subject must deliver of it and the sum of their digests.
type served struct {
	samples, stale int
	digest         uint64
}

// page is one target: it renders a new text for every scrape, in which half of the units have moved.
type page struct {
	mu       sync.Mutex
	options  pageOptions
	random   uint64
	prefixes []byte
	lines    []line
	units    []unit
	families []family
	pods     [][]uint32 // units by pod
	phase    float64    // pods due to be renamed before the first scrape, so that targets do not rename together
	extra    int        // pods due to be renamed by command
	renamed  int        // pods renamed so far
	scrapes  int
	counted  int
	digest   uint64
}

const podSuffix = 5 // digits of a pod's last name part, rewritten when it is renamed

func newPage(target int, options pageOptions) *page {
	p := &page{options: options, random: uint64(target+1) * 0x9e3779b97f4a7c15}
	p.pods = make([][]uint32, max(1, options.series/50))
	p.phase = float64(target*61%100) / 100
	size := min(1000, max(20, options.series/100))
	for f := 0; len(p.lines) < options.series; f++ {
		p.addFamily(target, f, min(size, options.series-len(p.lines)))
	}
	for i := range p.units {
		u := &p.units[i]
		if !u.counted {
			continue
		}
		p.counted += int(u.end - u.first)
		p.digest += p.unitDigest(u)
	}
	return p
}

func (p *page) next(below uint64) uint64 { // xorshift: pages must be the same for every subject
	p.random ^= p.random << 13
	p.random ^= p.random >> 7
	p.random ^= p.random << 17
	return (p.random >> 11) % below
}

// integer has three to eight digits, each equally often.
func (p *page) integer() float64 {
	below := uint64(1000)
	for n := p.next(6); n > 0; n-- {
		below *= 10
	}
	return float64(p.next(below))
}

func (p *page) addFamily(target, f, size int) {
	subsystem, noun := subsystems[f%10], nouns[f/10%10]
	k := kind(f % 3)
	if k == histogram && size < len(bounds)+2 {
		k = gauge // too few series are left for a whole histogram
	}
	name := subsystem + "_" + noun
	var help, typ string
	switch k {
	case counter:
		name, help, typ = name+"_total", "Total number of "+noun+" handled.", "counter"
	case gauge:
		name, help, typ = name+"_current", "Current number of "+noun+" in progress, or their size.", "gauge"
	default:
		name, help, typ = name+"_duration_seconds", "How long "+noun+" took, in seconds.", "histogram"
	}
	if f >= 100 {
		name = fmt.Sprintf("v%d_%s", f/100, name)
	}
	fam := family{firstUnit: uint32(len(p.units))}
	fam.header = fmt.Appendf(nil, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, typ)
	counted := !p.options.relabel || subsystem != droppedSubsystem
	for n, i := 0, 0; n < size; i++ {
		first := len(p.lines)
		if k == histogram && size-n >= len(bounds)+2 {
			p.addHistogram(target, name, i)
		} else if k == histogram {
			break // the next family fills up
		} else {
			p.addScalar(target, name, i, k)
		}
		n += len(p.lines) - first
		p.units = append(p.units, unit{uint32(first), uint32(len(p.lines)), k, counted})
	}
	fam.end = uint32(len(p.units))
	p.families = append(p.families, fam)
}

func (p *page) podOf(target int) (int, string) {
	pod := len(p.units) % len(p.pods)
	p.pods[pod] = append(p.pods[pod], uint32(len(p.units)))
	workload := workloads[(target+pod)%len(workloads)]
	return pod, fmt.Sprintf("%s-%08x-%0*d", workload, (target*7919+pod)*2654435761%0xffffffff, podSuffix, 0)
}

func (p *page) addLine(name, pod, labels string, value float64) {
	start := uint32(len(p.prefixes))
	p.prefixes = append(p.prefixes, name...)
	p.prefixes = append(p.prefixes, labels...)
	l := line{start: start, end: uint32(len(p.prefixes)), value: value}
	at := len(name) + len(`{pod="`) + len(pod) - podSuffix
	l.pod = start + uint32(at)
	l.print()
	p.lines = append(p.lines, l)
}

func (p *page) addScalar(target int, name string, i int, k kind) {
	n, pod := p.podOf(target)
	labels := fmt.Sprintf(`{pod=%q,namespace=%q,container=%q,route="/v1/%s/%d",method=%q,code=%q,zone=%q} `,
		pod, namespaces[(target+n)%len(namespaces)], workloads[(target+n)%len(workloads)], nouns[i%len(nouns)], i,
		methods[i%len(methods)], codes[i%len(codes)], zones[n%len(zones)])
	value := p.integer()
	if k == gauge && i%2 == 0 {
		value = safe(p.next(50_000_000))
	}
	p.addLine(name, pod, labels, value)
}

func (p *page) addHistogram(target int, name string, i int) {
	n, pod := p.podOf(target)
	common := fmt.Sprintf(`{pod=%q,namespace=%q,container=%q,route="/v1/%s/%d",method=%q,zone=%q`,
		pod, namespaces[(target+n)%len(namespaces)], workloads[(target+n)%len(workloads)], nouns[i%len(nouns)], i,
		methods[i%len(methods)], zones[n%len(zones)])
	total := float64(0)
	for _, le := range bounds {
		total += float64(p.next(100_000))
		p.addLine(name+"_bucket", pod, common+`,le="`+le+`"} `, total)
	}
	p.addLine(name+"_sum", pod, common+"} ", safe(p.next(2_000_000_000)))
	p.addLine(name+"_count", pod, common+"} ", total)
}

func (l *line) print() { l.textLen = uint8(len(strconv.AppendFloat(l.text[:0], l.value, 'g', -1, 64))) }

// safe gives n thousandths, stepping over values near a rounding edge of digestOf.
func safe(n uint64) float64 {
	for {
		v := float64(n) / 1000
		low := math.Float64bits(v) & (1<<digestShift - 1)
		if edge := uint64(1) << (digestShift - 1); low+16 < edge || low > edge+16 {
			return v
		}
		n++
	}
}

const digestShift = 21

// digestOf rounds away the last bits, since some subjects parse "1.234567e+06" one unit in the last place off.
func digestOf(v float64) uint64 { return (math.Float64bits(v) + 1<<(digestShift-1)) >> digestShift }

func (p *page) unitDigest(u *unit) (sum uint64) {
	for i := u.first; i < u.end; i++ {
		sum += digestOf(p.lines[i].value)
	}
	return sum
}

// render appends the page's next text to out and says what the subject must deliver of it.
func (p *page) render(out []byte) ([]byte, served) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s served
	if p.scrapes > 0 {
		p.move()
		s.stale = p.renamePods()
	}
	p.scrapes++
	turn := 0
	if p.options.reorder {
		turn = int(p.next(uint64(len(p.families))))
	}
	for i := range p.families {
		fam := &p.families[(i+turn)%len(p.families)]
		out = append(out, fam.header...)
		if p.options.reorder {
			p.shuffle(p.units[fam.firstUnit:fam.end])
		}
		for _, u := range p.units[fam.firstUnit:fam.end] {
			for j := u.first; j < u.end; j++ {
				l := &p.lines[j]
				out = append(out, p.prefixes[l.start:l.end]...)
				out = append(out, l.text[:l.textLen]...)
				out = append(out, '\n')
			}
		}
	}
	s.samples, s.digest = p.counted, p.digest
	return out, s
}

func (p *page) shuffle(units []unit) {
	for i := len(units) - 1; i > 0; i-- {
		j := p.next(uint64(i + 1))
		units[i], units[j] = units[j], units[i]
	}
}

func (p *page) move() {
	bits := uint64(0)
	for i := range p.units {
		if i&31 == 0 {
			bits = p.next(1 << 32)
		}
		move := bits&1 == 1
		bits >>= 1
		if !move {
			continue
		}
		u := &p.units[i]
		if u.counted {
			p.digest -= p.unitDigest(u)
		}
		p.moveUnit(u)
		if u.counted {
			p.digest += p.unitDigest(u)
		}
	}
}

func (p *page) moveUnit(u *unit) {
	if u.kind != histogram {
		l := &p.lines[u.first]
		switch {
		case u.kind == counter:
			l.value += float64(1 + p.next(5000))
		case l.value == math.Trunc(l.value):
			l.value = p.integer()
		default:
			l.value = safe(p.next(50_000_000))
		}
		l.print()
		return
	}
	seen := float64(0)
	for i := u.first; i < u.end-2; i++ {
		seen += float64(p.next(20))
		p.lines[i].value += seen
		p.lines[i].print()
	}
	sum, count := &p.lines[u.end-2], &p.lines[u.end-1]
	sum.value = safe(uint64(sum.value*1000) + p.next(20_000))
	count.value += seen
	sum.print()
	count.print()
}

// churn renames a share of the series once, at the next scrape, from the pod on that is next.
func (p *page) churn(share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.extra += int(math.Round(share * float64(len(p.pods))))
}

// renamePods gives the pods that are due new names and returns how many series ended by that.
func (p *page) renamePods() (ended int) {
	due := int(float64(p.scrapes)*p.options.rename*float64(len(p.pods))+p.phase+1e-9) + p.extra
	for ; p.renamed < due; p.renamed++ {
		name := fmt.Sprintf("%0*d", podSuffix, 1+p.renamed/len(p.pods))
		for _, i := range p.pods[p.renamed%len(p.pods)] {
			u := &p.units[i]
			for j := u.first; j < u.end; j++ {
				copy(p.prefixes[p.lines[j].pod:], name)
			}
			if u.counted {
				ended += int(u.end - u.first)
			}
		}
	}
	return ended
}
