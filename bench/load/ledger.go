package main

import (
	"fmt"
	"sort"
	"sync"
	"time"
)

// delivery is what arrived of one scrape of one target, found by the samples' timestamp.
type delivery struct {
	timestamp int64
	samples   int
	digest    uint64
}

type account struct {
	served    []served
	delivered []delivery
	from, cut int // scrapes that the verdict is about: from the first or the window's first, to the window's last
	since     int64
	last      time.Time
}

// ledger compares scrape by scrape what was served with what arrived.
type ledger struct {
	mu       sync.Mutex
	accounts []account
	total    totals
	window   totals
	latency  [maxLatencyMs + 1]uint32
	begun    time.Time
	interval time.Duration // between the scrapes of a target; 0 where nobody asks for missed ones
	// Samples that came behind a newer one of their series, where the order is asked for.
	misplaced int
}

const maxLatencyMs = 120_000

type totals struct {
	Scrapes    int `json:"scrapes"`
	Missed     int `json:"missed"`
	Aborted    int `json:"aborted"`
	Served     int `json:"served"`
	ServedB    int `json:"servedBytes"`
	ServedGone int `json:"servedGone"`
	Requests   int `json:"requests"`
	Rejected   int `json:"rejected"`
	WireBytes  int `json:"wireBytes"`
	RawBytes   int `json:"rawBytes"`
	Delivered  int `json:"delivered"`
	Stale      int `json:"stale"`
	Report     int `json:"report"`
	Metadata   int `json:"metadata"`
	Malformed  int `json:"malformed"`
}

func newLedger(targets int) *ledger {
	return &ledger{accounts: make([]account, targets), begun: time.Now()}
}

func (l *ledger) scraped(target int, s served, bytes int, complete bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	missed := l.accounts[target].missed(time.Now(), l.interval)
	for _, t := range []*totals{&l.total, &l.window} {
		t.Missed += missed
		if !complete {
			t.Aborted++
			continue
		}
		t.Scrapes++
		t.Served += s.samples
		t.ServedB += bytes
		t.ServedGone += s.stale
	}
	if complete {
		a := &l.accounts[target]
		a.served = append(a.served, s)
	}
}

// missed tells how many scrapes should have come between the one before and this.
func (a *account) missed(now time.Time, interval time.Duration) int {
	gap := now.Sub(a.last)
	isFirst := a.last.IsZero()
	a.last = now
	if isFirst || interval == 0 || gap < interval {
		return 0
	}
	return int((gap+interval/2)/interval) - 1
}

// deliveryOf finds the entry of a timestamp, looking at the newest first.
func (a *account) deliveryOf(timestamp int64) *delivery {
	for i := len(a.delivered) - 1; i >= 0; i-- {
		if a.delivered[i].timestamp == timestamp {
			return &a.delivered[i]
		}
	}
	a.delivered = append(a.delivered, delivery{timestamp: timestamp})
	return &a.delivered[len(a.delivered)-1]
}

func (l *ledger) minScrapes() int {
	least := len(l.accounts[0].served)
	for i := range l.accounts {
		least = min(least, len(l.accounts[i].served))
	}
	return least
}

func (l *ledger) begin() {
	l.window = totals{}
	l.latency = [maxLatencyMs + 1]uint32{}
	l.begun = time.Now()
}

// forgive has verdicts begin with what is scraped from now on: what an overload at the start lost does not count.
func (l *ledger) forgive() {
	for i := range l.accounts {
		a := &l.accounts[i]
		a.from, a.since = len(a.served), time.Now().UnixMilli()
	}
}

func (l *ledger) end() {
	for i := range l.accounts {
		l.accounts[i].cut = len(l.accounts[i].served)
	}
}

func (l *ledger) percentile(share float64) int {
	total := 0
	for _, n := range l.latency {
		total += int(n)
	}
	rank, seen := int(share*float64(total)), 0
	for ms, n := range l.latency {
		if seen += int(n); seen > rank {
			return ms
		}
	}
	return maxLatencyMs
}

// verdict tells how the scrapes served before the window's end arrived; Missing may still fall while the subject drains.
type verdict struct {
	Scrapes   int      `json:"scrapes"`
	Missing   int      `json:"missing"`
	Extra     int      `json:"extra"`
	Wrong     int      `json:"wrongValues"`
	Misplaced int      `json:"misplaced"` // of all samples that came, where the order is asked for
	Examples  []string `json:"examples"`
}

func (l *ledger) verify() verdict {
	v := verdict{Misplaced: l.misplaced, Examples: []string{}}
	for target := range l.accounts {
		a := &l.accounts[target]
		sort.Slice(a.delivered, func(i, j int) bool { return a.delivered[i].timestamp < a.delivered[j].timestamp })
		v.Scrapes += a.cut - a.from
		others := a.unlikeServed()
		for k := a.from; k < a.cut; k++ {
			if a.has(k) {
				continue
			}
			want := a.served[k]
			var got delivery
			if len(others) > 0 {
				got, others = others[0], others[1:]
			}
			v.add(target, k, got, want)
		}
	}
	return v
}

// has tells whether scrape k arrived whole: mostly it did as the k-th, else (where others were lost) it is searched.
func (a *account) has(k int) bool {
	if k < len(a.delivered) && a.delivered[k].is(a.served[k]) {
		return true
	}
	for i := range a.delivered {
		if a.delivered[i].is(a.served[k]) {
			return true
		}
	}
	return false
}

// unlikeServed are the deliveries, oldest first, that are no whole scrape as it was served.
func (a *account) unlikeServed() (others []delivery) {
	whole := map[served]bool{}
	for _, s := range a.served {
		whole[served{samples: s.samples, digest: s.digest}] = true
	}
	for _, d := range a.delivered {
		if d.timestamp >= a.since && !whole[served{samples: d.samples, digest: d.digest}] {
			others = append(others, d)
		}
	}
	return others
}

func (d delivery) is(s served) bool { return d.samples == s.samples && d.digest == s.digest }

func (v *verdict) add(target, k int, got delivery, want served) {
	switch {
	case got.samples < want.samples:
		v.Missing += want.samples - got.samples
	case got.samples > want.samples:
		v.Extra += got.samples - want.samples
	default:
		v.Wrong++
	}
	if len(v.Examples) < 5 {
		v.Examples = append(v.Examples, fmt.Sprintf("target %d, scrape %d: %d of %d samples", target, k+1, got.samples, want.samples))
	}
}
