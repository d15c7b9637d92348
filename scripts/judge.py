#!/usr/bin/env python3
"""Decodes a file with the libav of PyAV's wheel (https://pypi.org/project/av/), which is newer than a distribution's.

Prints how many pictures came out, then every warning; ends with 1 if there was a warning. The matrix of cuts
(tests/it/matrix) asks it about each cut when MOVIOLA_MATRIX_JUDGE names this script.
"""

import sys

import av
import av.logging


def decode(path):
    """The count of pictures and the warnings of a file."""
    pictures = 0
    av.logging.set_level(av.logging.WARNING)
    with av.logging.Capture(local=False) as logs:
        with av.open(path) as container:
            for stream in container.streams:
                # On threads of their own, decoders would lose their words.
                stream.codec_context.thread_count = 1
            wanted = {"video": 0, "audio": 0} if container.streams.audio else {"video": 0}
            packets = container.demux(**wanted)
            # At the end, that of a short file's probing too, parsers are handed an empty packet; that of Opus minds.
            logs[:] = [it for it in logs if it[1] != "opus"]
            before = len(logs)
            packets_of = dict.fromkeys(range(len(container.streams)), 0)
            while (packet := next(packets, None)) is not None:
                if packet.size == 0:
                    logs[before:] = [it for it in logs[before:] if it[1] != "opus"]
                before = len(logs)
                packets_of[packet.stream_index] += packet.size > 0
                for frame in packet.decode():
                    pictures += isinstance(frame, av.VideoFrame)
    # How long a PES packet of sound lasts, MPEG-TS does not say; a short cut has one.
    alone = [f"stream {index} : no PTS found" for index, count in packets_of.items() if count < 5]
    logs = [it for it in logs if not it[2].strip().startswith(tuple(alone))]
    return pictures, [f"{name}: {message.strip()}" for level, name, message in logs]


def main():
    failed = False
    for path in sys.argv[1:]:
        pictures, warnings = decode(path)
        print(f"{pictures} pictures")
        for warning in warnings:
            print(warning)
        failed = failed or bool(warnings)
    sys.exit(failed)


if __name__ == "__main__":
    main()
