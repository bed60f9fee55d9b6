package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPageGivesTheDigestOfItsText(t *testing.T) {
	dropped := regexp.MustCompile(`^(v[0-9]+_)?cache_`)
	for _, options := range []pageOptions{
		{series: 5000}, {series: 100}, {series: 1000, reorder: true}, {series: 5000, rename: 0.01}, {series: 5000, relabel: true},
	} {
		p := newPage(3, options)
		for n := 0; n < 20; n++ {
			text, want := p.render(nil)
			var got served
			lines, seen := 0, map[string]bool{}
			for _, l := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
				if strings.HasPrefix(l, "#") {
					continue
				}
				lines++
				series, number, _ := strings.Cut(l, "} ")
				if seen[series] {
					t.Fatalf("%+v: %s occurs twice", options, series)
				}
				seen[series] = true
				value, err := strconv.ParseFloat(number, 64)
				if err != nil {
					t.Fatal(err)
				}
				if options.relabel && dropped.MatchString(l) {
					continue
				}
				got.samples++
				got.digest += digestOf(value)
			}
			if lines != options.series || got.samples != want.samples || got.digest != want.digest {
				t.Fatalf("%+v, scrape %d: %d lines, %+v, announced %+v", options, n, lines, got, want)
			}
		}
	}
}

func TestPageRenamesOnePercent(t *testing.T) {
	p := newPage(0, pageOptions{series: 5000, rename: 0.01})
	before, _ := p.render(nil)
	for n := 0; n < 5; n++ {
		after, s := p.render(nil)
		gone := len(seriesOf(before)) - shared(seriesOf(before), seriesOf(after))
		if gone != s.stale || n > 0 && (gone < 25 || gone > 100) {
			t.Fatalf("scrape %d: %d series ended, announced %d", n, gone, s.stale)
		}
		before = after
	}
}

func TestPageRenamesOnceOnCommand(t *testing.T) {
	p := newPage(0, pageOptions{series: 5000})
	before, _ := p.render(nil)
	for _, c := range []struct {
		share     float64
		low, high int
	}{{0, 0, 0}, {0.1, 400, 600}, {0, 0, 0}, {1, 5000, 5000}, {0, 0, 0}} {
		p.churn(c.share)
		after, s := p.render(nil)
		gone := 5000 - shared(seriesOf(before), seriesOf(after))
		if gone != s.stale || gone < c.low || gone > c.high {
			t.Fatalf("churn of %v: %d series ended, announced %d", c.share, gone, s.stale)
		}
		before = after
	}
}

func TestPagesRenameAtDifferentScrapes(t *testing.T) {
	renaming := map[int]int{}
	for target := 0; target < 100; target++ {
		p := newPage(target, pageOptions{series: 500, rename: 1. / 100})
		for n := 0; n < 11; n++ {
			if _, s := p.render(nil); s.stale > 0 {
				renaming[n]++
			}
		}
	}
	for n := 1; n < 11; n++ {
		if renaming[n] < 5 || renaming[n] > 15 {
			t.Fatalf("pages that rename by scrape: %v", renaming)
		}
	}
}

func TestPageMovesHalfOfTheValues(t *testing.T) {
	p := newPage(0, pageOptions{series: 5000})
	before, _ := p.render(nil)
	after, _ := p.render(nil)
	a, b := strings.Split(string(before), "\n"), strings.Split(string(after), "\n")
	same := 0
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	if share := float64(same) / float64(len(a)); share < 0.45 || share > 0.6 {
		t.Fatalf("%.2f of the lines stayed as they were", share)
	}
}

func seriesOf(page []byte) map[string]bool {
	all := map[string]bool{}
	for _, l := range strings.Split(string(page), "\n") {
		if series, _, found := strings.Cut(l, "} "); found && l[0] != '#' {
			all[series] = true
		}
	}
	return all
}

func shared(a, b map[string]bool) (n int) {
	for series := range a {
		if b[series] {
			n++
		}
	}
	return n
}

func TestSnappy(t *testing.T) {
	for _, c := range []struct {
		title, packed, want string
	}{
		{"nothing", "\x00", ""},
		{"a literal", "\x05\x10hello", "hello"},
		{"a literal with a long length", "\x46\xf0\x45" + strings.Repeat("x", 70), strings.Repeat("x", 70)},
		{"a near copy", "\x09\x10hello\x01\x05", "hellohell"},
		{"a copy that overlaps itself", "\x0a\x00a\x22\x01\x00", "aaaaaaaaaa"},
		{"a far copy", "\x07\x10hello\x07\x05\x00\x00\x00", "hellohe"},
	} {
		got, err := decodeSnappy(nil, []byte(c.packed))
		if err != nil || !bytes.Equal(got, []byte(c.want)) {
			t.Errorf("%s: got %q, %v", c.title, got, err)
		}
	}
	for _, bad := range []string{"", "\x05", "\x05\x10hell", "\x06\x10hello", "\x09\x10hello\x01\x06", "\x04\x10hello", "\x03\x00a\x05"} {
		if got, err := decodeSnappy(nil, []byte(bad)); err == nil {
			t.Errorf("%q: decoded to %q", bad, got)
		}
	}
}

func TestSnappyDecodesWhateverIsValid(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var scratch []byte
	for n := 0; n < 400; n++ {
		size := []int{100, 1000, 70_000, 300_000}[n%4]
		packed, want := randomBlock(random, size)
		got, err := decodeSnappy(scratch, packed)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("block %d of %d bytes: %v", n, len(want), err)
		}
		scratch = got
		for cut := 0; cut < 20; cut++ { // cut off or spoilt, it is refused or gives other bytes, but never more
			spoilt := bytes.Clone(packed[:random.IntN(len(packed))])
			if len(spoilt) > 0 && cut%2 == 0 {
				spoilt = bytes.Clone(packed)
				spoilt[random.IntN(len(spoilt))] ^= byte(1 + random.IntN(255))
			}
			decodeSnappy(nil, spoilt)
		}
	}
}

// randomBlock has literals with lengths in 0 to 4 bytes and copies with offsets in 1, 2 and 4 bytes, near, far and overlapping.
func randomBlock(random *rand.Rand, size int) (packed, raw []byte) {
	var body []byte
	for len(raw) < size {
		choice := random.IntN(6)
		if len(raw) == 0 {
			choice = 5
		}
		reach := min(len(raw), []int{len(raw), 7, 15, 2047, 65535}[random.IntN(5)])
		offset, length := 0, 1+random.IntN(64)
		if reach > 0 {
			offset = 1 + random.IntN(reach)
		}
		switch {
		case choice >= 4: // literal
			n := []int{length, 60 + random.IntN(200), 60 + random.IntN(2000)}[random.IntN(3)]
			bytesOfLength := 0
			for v := n - 1; v > 0; v >>= 8 {
				bytesOfLength++
			}
			if n <= 60 && random.IntN(2) == 0 {
				body = append(body, byte(n-1)<<2)
			} else {
				width := max(1, min(4, bytesOfLength+random.IntN(3)))
				body = append(body, byte(59+width)<<2)
				for i := 0; i < width; i++ {
					body = append(body, byte((n-1)>>(8*i)))
				}
			}
			for i := 0; i < n; i++ {
				b := byte(random.Uint32())
				body, raw = append(body, b), append(raw, b)
			}
			continue
		case choice <= 1 && offset < 2048:
			length = 4 + length%8
			body = append(body, 1|byte(length-4)<<2|byte(offset>>8)<<5, byte(offset))
		case choice <= 2 && offset < 65536:
			body = binary.LittleEndian.AppendUint16(append(body, 2|byte(length-1)<<2), uint16(offset))
		default:
			body = binary.LittleEndian.AppendUint32(append(body, 3|byte(length-1)<<2), uint32(offset))
		}
		for i := 0; i < length; i++ {
			raw = append(raw, raw[len(raw)-offset])
		}
	}
	return append(binary.AppendUvarint(nil, uint64(len(raw))), body...), raw
}

func TestSinkReadsLabelsOfEveryLength(t *testing.T) {
	for _, c := range []struct {
		title string
		name  string
		other string
		ok    bool
	}{
		{"short", "a_metric", "x", true},
		{"a long name", strings.Repeat("n", 300), "x", true},
		{"a long value", "a_metric", strings.Repeat("v", 5000), true},
		{"a value of 128 bytes", "a_metric", strings.Repeat("v", 128), true},
		{"an empty value", "a_metric", "", true},
		{"no name", "", "x", false},
	} {
		series := appendLabel(nil, "__name__", c.name)
		for i := 0; i < 8; i++ {
			series = appendLabel(series, "label"+strconv.Itoa(i), c.other)
		}
		series = appendLabel(series, "instance", "127.0.0.1:40000")
		sample := binary.LittleEndian.AppendUint64([]byte{9}, math.Float64bits(1))
		series = appendField(series, 2, binary.AppendUvarint(append(sample, 16), 1_700_000_000_000))
		s := &sink{ledger: newLedger(1), byPort: new([65536]int32)}
		s.byPort[40000] = 1
		if err := s.book(1, appendField(nil, 1, series)); err != nil {
			t.Fatal(c.title, err)
		}
		if got := s.ledger.total; (got.Delivered == 1) != c.ok || (got.Malformed == 1) == c.ok {
			t.Errorf("%s: %+v", c.title, got)
		}
		for cut := 1; cut < len(series); cut++ {
			if s.book(1, appendField(nil, 1, series[:cut])) == nil && s.ledger.total.Delivered > 1 {
				t.Fatalf("%s: cut off at %d it was counted", c.title, cut)
			}
		}
	}
}

func TestSinkCountsWhatIsOutOfOrder(t *testing.T) {
	for _, c := range []struct {
		title string
		times []uint64
		asked bool
		want  int
	}{
		{"in order", []uint64{10, 20, 30}, true, 0},
		{"one behind a newer one", []uint64{10, 30, 20, 40}, true, 1},
		{"two behind the newest", []uint64{30, 10, 20}, true, 2},
		{"one that comes twice", []uint64{10, 10, 20}, true, 0},
		{"nobody asks", []uint64{30, 10}, false, 0},
	} {
		s := &sink{ledger: newLedger(1), byPort: new([65536]int32), seed: maphash.MakeSeed()}
		if c.asked {
			s.newest = map[uint64]int64{}
		}
		for i, at := range c.times {
			// The order of another series does not matter.
			for name, time := range map[string]uint64{"a_metric": at, "other": uint64(100 + i)} {
				series := appendLabel(nil, "__name__", name)
				sample := binary.LittleEndian.AppendUint64([]byte{9}, math.Float64bits(1))
				series = appendField(series, 2, binary.AppendUvarint(append(sample, 16), time))
				if err := s.book(1, appendField(nil, 1, series)); err != nil {
					t.Fatal(c.title, err)
				}
			}
		}
		if got := s.ledger.verify().Misplaced; got != c.want {
			t.Errorf("%s: %d out of order, want %d", c.title, got, c.want)
		}
	}
}

func TestLedgerFindsWhatIsWrong(t *testing.T) {
	first, second := served{samples: 10, digest: 77}, served{samples: 10, digest: 88}
	for _, c := range []struct {
		title     string
		delivered []delivery
		want      verdict
	}{
		{"all there", []delivery{{2, 10, 88}, {1, 10, 77}}, verdict{}},
		{"one sample missing", []delivery{{1, 9, 70}, {2, 10, 88}}, verdict{Missing: 1}},
		{"the last scrape missing", []delivery{{1, 10, 77}}, verdict{Missing: 10}},
		{"the first scrape missing", []delivery{{2, 10, 88}, {3, 10, 99}}, verdict{Missing: 10}},
		{"a scrape sent twice", []delivery{{1, 20, 154}, {2, 10, 88}}, verdict{Extra: 10}},
		{"another value", []delivery{{1, 10, 78}, {2, 10, 88}}, verdict{Wrong: 1}},
	} {
		l := newLedger(1)
		l.scraped(0, first, 1, true)
		l.scraped(0, second, 1, true)
		l.end()
		l.scraped(0, served{samples: 10, digest: 99}, 1, true)
		l.accounts[0].delivered = c.delivered
		if got := l.verify(); got.Missing != c.want.Missing || got.Extra != c.want.Extra || got.Wrong != c.want.Wrong {
			t.Errorf("%s: %+v", c.title, got)
		}
	}
}

func TestLedgerForgivesWhatCameBefore(t *testing.T) {
	now := time.Now().UnixMilli()
	l := newLedger(1)
	l.scraped(0, served{samples: 10, digest: 1}, 1, true)
	l.scraped(0, served{samples: 10, digest: 2}, 1, true)
	l.forgive()
	l.scraped(0, served{samples: 10, digest: 3}, 1, true)
	l.scraped(0, served{samples: 10, digest: 4}, 1, true)
	l.end()
	l.accounts[0].delivered = []delivery{{now - 5000, 5, 9}, {now + 1000, 10, 3}, {now + 2000, 9, 4}}
	if got := l.verify(); got.Scrapes != 2 || got.Missing != 1 || got.Wrong != 0 || got.Extra != 0 {
		t.Fatalf("%+v", got)
	}
}

func TestLedgerCountsMissedScrapes(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		title string
		at    []float64 // seconds
		want  int
	}{
		{"in time", []float64{0, 1, 2, 3}, 0},
		{"with jitter", []float64{0, 1.3, 1.9, 3.2}, 0},
		{"one left out", []float64{0, 1, 3, 4}, 1},
		{"three left out", []float64{0, 4.1}, 3},
	} {
		var a account
		got := 0
		for _, at := range c.at {
			got += a.missed(start.Add(time.Duration(at*1e9)), time.Second)
		}
		if got != c.want {
			t.Errorf("%s: %d missed", c.title, got)
		}
	}
}

func TestExporterBooksOnlyWhatTheSubjectAskedFor(t *testing.T) {
	book := newLedger(2)
	e, err := newExporter(2, pageOptions{series: 1}, false, book)
	if err != nil {
		t.Fatal(err)
	}
	defer e.server.Close()
	for _, c := range []struct {
		path           string
		status, booked int
	}{{fmt.Sprintf("/metrics/%d", e.ports[0]), 200, 1}, {"/metrics", 404, 1}, {"/", 404, 1}} {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", e.ports[1], c.path))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if served := len(book.accounts[1].served); answer.StatusCode != c.status || served != c.booked {
			t.Fatalf("%s: status %d, %d scrapes booked", c.path, answer.StatusCode, served)
		}
	}
}
