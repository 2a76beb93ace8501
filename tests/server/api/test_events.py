"""Server-sent events, byte for byte."""

from timbre_server.api import events


def test_a_delta_is_one_line_of_base64() -> None:
    assert events.delta(b"\x00\xff") == b'data: {"type":"speech.audio.delta","audio":"AP8="}\n\n'


def test_the_end_counts_characters_in_and_frames_of_50_ms_out() -> None:
    assert events.done(3, 0.101) == (
        b'data: {"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":3,"total_tokens":6}}\n\n'
    )


def test_a_failure_carries_the_error_object() -> None:
    error = {"message": "m\n", "type": "t", "param": None, "code": "c"}
    assert events.failed(error) == (
        b'data: {"type":"error","error":{"message":"m\\n","type":"t","param":null,"code":"c"}}\n\n'
    )
