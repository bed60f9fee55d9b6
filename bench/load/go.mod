module millrace.bench/load

go 1.24
