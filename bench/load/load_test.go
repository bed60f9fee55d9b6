package main

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestPageGivesTheDigestOfItsText(t *testing.T) {
	dropped := regexp.MustCompile(`^(v[0-9]+_)?cache_`)
	for _, options := range []pageOptions{
		{series: 5000}, {series: 100}, {series: 1000, reorder: true}, {series: 5000, rename: true}, {series: 5000, relabel: true},
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
	p := newPage(0, pageOptions{series: 5000, rename: true})
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
