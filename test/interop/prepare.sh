#!/usr/bin/env bash
# Installs what test/e2e/interop-otlp.test.ts and otlp-status.test.ts send with, SDKs and a client of Go's gRPC, into $INTEROP, each on its own: what cannot be had here is skipped there.
set -u
INTEROP=${INTEROP:-$HOME/.cache/millrace-interop}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$INTEROP"

js() {
  local folder=$INTEROP/js
  mkdir -p "$folder" && cp "$here"/js/* "$folder/" &&
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund)
}
python() {
  local folder=$INTEROP/python
  mkdir -p "$folder" && cp "$here"/python/* "$folder/" &&
    python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet -r "$folder/requirements.txt"
}
go_sdk() {
  mkdir -p "$INTEROP/go" && (cd "$here/go" && go build -buildvcs=false -o "$INTEROP/go/send" .)
}
go_call() {
  mkdir -p "$INTEROP/go" && (cd "$here/go" && go build -buildvcs=false -o "$INTEROP/go/call" ./call)
}

for part in js python go_sdk go_call; do
  if timeout 150 bash -c "$(declare -f "$part"); here='$here' INTEROP='$INTEROP'; $part" >"$INTEROP/$part.log" 2>&1; then
    : >"$INTEROP/$part.ready"
  else
    rm -f "$INTEROP/$part.ready"
    echo "$part cannot be installed here: $(grep -im1 error "$INTEROP/$part.log")"
  fi
done
