#!/usr/bin/env bash
# Starts one server with the embedded engine and says what to try.
set -euo pipefail
cd "$(dirname "$0")/.."
export TIMBRE_HTTP__HOST=${TIMBRE_HTTP__HOST:-127.0.0.1} TIMBRE_HTTP__PORT=${TIMBRE_HTTP__PORT:-8000}
url="http://$TIMBRE_HTTP__HOST:$TIMBRE_HTTP__PORT"
cat <<TEXT
Timbre will answer at $url in a few seconds (Ctrl-C ends it). Try, in another terminal and in this folder:

  1. A built-in voice:
     curl -s $url/v1/audio/speech -H 'Content-Type: application/json' \\
       -d '{"model": "tts-1", "voice": "alloy", "input": "Hello from Timbre."}' -o hello.mp3

  2. Enrol the voice of a recording (3 to 30 seconds of one speaker):
     curl -s $url/v1/audio/voices -F name=reader -F audio_sample=@examples/voices/librivox-male.flac

  3. Speak in it, with the id that the second command printed:
     curl -s $url/v1/audio/speech -H 'Content-Type: application/json' \\
       -d '{"model": "tts-1", "voice": {"id": "voice_..."}, "input": "Now I speak like the reader.", "response_format": "wav"}' -o reader.wav

TEXT
exec .venv/bin/timbre-server
