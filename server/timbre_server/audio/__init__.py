"""Sound as bytes and back: encoders of answers, the time stretch, and the guarded decoding of uploads.

``encoding`` writes speech in the six formats of the API, ``stretch`` changes its tempo, ``decoding`` turns an
uploaded file into a canonical recording in a child process, ``speech_checks`` says whether that recording can
serve as a voice, and ``flac`` keeps it.  Nothing here knows of requests, voices or engines.
"""
