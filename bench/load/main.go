// Command load is the exporter and the sink of the scrape bench in one process. It obeys one command a line
// on its standard input, answers each with one line of JSON, and leaves when the input ends.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
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

// answer runs one command of the runner: "state", "begin" or "end" a window, "verify" what was served before its end.
func (l *ledger) answer(command string) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch command {
	case "state":
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
	var options pageOptions
	targets := flag.Int("targets", 100, "number of targets")
	flag.IntVar(&options.series, "series", 5000, "series per target")
	zip := flag.Bool("gzip", false, "answer gzip, in chunks, where it is accepted")
	flag.BoolVar(&options.reorder, "reorder", false, "change the order of lines at every scrape")
	flag.BoolVar(&options.rename, "rename", false, "give 1 % of the series a new pod name at every scrape")
	flag.BoolVar(&options.relabel, "relabel", false, "expect what the relabel rules leave")
	dump := flag.Bool("dump", false, "print the first page and leave")
	flag.Parse()
	if *dump {
		text, _ := newPage(0, options).render(nil)
		os.Stdout.Write(text)
		return
	}
	debug.SetGCPercent(400)
	book := newLedger(*targets)
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
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"ports": e.ports, "sink": s.url})
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		out.Encode(book.answer(commands.Text()))
	}
}
