import { Dialog } from "../ui/parts.tsx";

const KEYS: [string, [string, string][]][] = [
  [
    "Move",
    [
      ["← →", "a frame back, forward"],
      ["Shift ← →", "a second"],
      ["Ctrl ← →", "ten seconds"],
      ["Home End", "to the start, the end of the view"],
      [", .", "to the keyframe before, after"],
      ["[ ]", "to the in point, the out point"],
    ],
  ],
  [
    "Play",
    [
      ["Space K", "play, pause"],
      ["L", "forward; again: faster"],
      ["J", "backward; again: faster"],
      ["P", "play the marked range"],
      ["Enter", "preview of the cut"],
    ],
  ],
  [
    "Mark",
    [
      ["I O", "in point, out point at the playhead"],
      ["N", "another range from here"],
      ["Tab", "to the handles; arrows move them"],
      ["X", "take the range out"],
      ["S", "snap to keyframes, or not"],
      ["Ctrl Z", "take the last change back"],
      ["D", "download the cut"],
    ],
  ],
  [
    "See",
    [
      ["+ -", "closer, further"],
      ["0", "everything"],
      ["F", "the marked range"],
      ["wheel", "zoom; with Shift: pan"],
      ["?", "this sheet"],
    ],
  ],
];

export function KeySheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys" wide onClose={onClose}>
      <div class="keys">
        {KEYS.map(([title, keys]) => (
          <section>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div>
                  <dt>
                    {key.split(" ").map((it) => (
                      <kbd>{it}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
