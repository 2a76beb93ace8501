"""Progress: a bar that moves where somebody looks, few lines where nobody does."""

import io

from timbre_server.app.progress import LINE_SECONDS, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_is_drawn_over() -> None:
    stream, now = Terminal(), [0.0]
    progress = Progress(4, "voices", stream=stream, clock=lambda: now[0])
    for _ in range(4):
        now[0] += 0.5
        progress.step()
    progress.end()
    drawn = stream.getvalue().split("\r")[1:]
    assert [line.count("#") for line in drawn] == [7, 15, 22, 30]
    assert "4/4 voices, 2.0/s" in drawn[-1]
    assert stream.getvalue().count("\n") == 1


def test_a_log_gets_a_line_now_and_then_and_a_last_one() -> None:
    stream, now = io.StringIO(), [0.0]
    progress = Progress(100, "voices", stream=stream, clock=lambda: now[0])
    for _ in range(100):
        now[0] += LINE_SECONDS / 40
        progress.step()
    progress.end()
    assert stream.getvalue().splitlines() == [
        "40/100 voices, 8.0/s",
        "80/100 voices, 8.0/s",
        "100/100 voices, 8.0/s",
    ]


def test_where_nothing_was_done_nothing_is_said() -> None:
    for stream in (io.StringIO(), Terminal()):
        progress = Progress(0, "voices", stream=stream)
        progress.step(0)
        progress.end()
        assert stream.getvalue() == ""


def test_an_unknown_total_has_no_bar() -> None:
    stream = Terminal()
    progress = Progress(None, "voices", stream=stream, clock=lambda: 1.0)
    progress.step(3)
    assert stream.getvalue().startswith("\r3 voices, ")
