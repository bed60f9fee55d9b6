package main

// Vocabulary of the generated pages, shaped after what Kubernetes workloads expose.

var subsystems = []string{"http_server", "grpc_client", "db_pool", "cache", "queue", "rpc", "kafka", "redis", "scheduler", "storage"}

var nouns = []string{"requests", "connections", "operations", "messages", "sessions", "lookups", "retries", "flushes", "transfers", "events"}

var namespaces = []string{"shop", "payments", "search", "platform", "identity", "media", "logistics", "reporting"}

var workloads = []string{"checkout", "gateway", "indexer", "ledger", "notifier", "pricing", "sessions", "uploader"}

var methods = []string{"GET", "POST", "PUT", "DELETE"}

var codes = []string{"200", "201", "204", "400", "404", "500", "503"}

var zones = []string{"eu-1a", "eu-1b", "eu-1c"}

var bounds = []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"}

// droppedSubsystem is the one whose families the "relabel" mode drops by name.
const droppedSubsystem = "cache"
