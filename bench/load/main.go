// Command load is the exporter and the sink of the scrape bench in one process; with the first argument "otlp" the
// generator and the sink of the OTLP bench. It obeys one command a line
// on its standard input, answers each with one line of JSON, and leaves when the input ends.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"hash/maphash"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type state struct {
	MinScrapes int     `json:"minScrapes"`
	Seconds    float64 `json:"seconds"` // since the window began
	Window     totals  `json:"window"`
	Total      totals  `json:"total"`
	P50Ms      int     `json:"p50Ms"`
	P99Ms      int     `json:"p99Ms"`
}

func (l *ledger) state() state {
	return state{
		MinScrapes: l.minScrapes(), Seconds: time.Since(l.begun).Seconds(), Window: l.window, Total: l.total,
		P50Ms: l.percentile(0.5), P99Ms: l.percentile(0.99),
	}
}

// bench obeys the runner.
type bench struct {
	*ledger
	exporter *exporter
	sink     *sink
	guarded  int // process group that must not outlive the runner
}

// answer runs one command of the runner: "state", "begin" or "end" a window, "verify" what was served before its
// end, or with "forgive" only since then,
// "churn SHARE" of the series once, "down" and "up" for an outage of the sink, "guard PID" of the subject's process group.
func (b *bench) answer(line string) any {
	command, argument, _ := strings.Cut(line, " ")
	switch command {
	case "churn":
		share, _ := strconv.ParseFloat(argument, 64)
		for _, p := range b.exporter.pages {
			p.churn(share)
		}
	case "down", "up":
		b.sink.down.Store(command == "down")
	case "guard":
		b.guarded, _ = strconv.Atoi(argument)
	}
	l := b.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	switch command {
	case "state", "churn", "down", "up", "guard":
		return l.state()
	case "forgive":
		l.forgive()
		return l.state()
	case "begin":
		l.begin()
		return l.state()
	case "end":
		l.end()
		return l.state()
	case "verify":
		return l.verify()
	}
	return map[string]string{"error": "unknown command " + command}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "otlp" {
		otlpMain(os.Args[2:])
		return
	}
	var options pageOptions
	targets := flag.Int("targets", 100, "number of targets")
	flag.IntVar(&options.series, "series", 5000, "series per target")
	interval := flag.Duration("interval", 0, "between the scrapes of a target, to count those that are missed")
	zip := flag.Bool("gzip", false, "answer gzip, in chunks, where it is accepted")
	flag.BoolVar(&options.reorder, "reorder", false, "change the order of lines at every scrape")
	flag.Float64Var(&options.rename, "rename", 0, "share of the series that gets a new pod name at every scrape")
	flag.BoolVar(&options.relabel, "relabel", false, "expect what the relabel rules leave")
	order := flag.Bool("order", false, "count samples that come behind a newer one of their series")
	dump := flag.Bool("dump", false, "print the first page and leave")
	flag.Parse()
	if *dump {
		text, _ := newPage(0, options).render(nil)
		os.Stdout.Write(text)
		return
	}
	// It ends with its input only, so that it outlives the runner for as long as the guard needs.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	debug.SetGCPercent(400)
	book := newLedger(*targets)
	book.interval = *interval
	e, err := newExporter(*targets, options, *zip, book)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s, err := newSink(book, &e.byPort)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *order {
		s.newest, s.seed = map[uint64]int64{}, maphash.MakeSeed()
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"ports": e.ports, "sink": s.url})
	b := &bench{ledger: book, exporter: e, sink: s}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		out.Encode(b.answer(commands.Text()))
	}
	if b.guarded > 1 { // the runner ended without having stopped its subject
		syscall.Kill(-b.guarded, syscall.SIGKILL)
	}
}
