module millrace.bench/load

go 1.22
