from arena.data.files import progress


def test_everything_comes_through_in_silence_where_nobody_watches(capsys):
    assert list(progress(iter(range(5)), "counting", total=5)) == [0, 1, 2, 3, 4]
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
