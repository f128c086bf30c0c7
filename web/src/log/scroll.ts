/**
 * Scrolling through more than a browser can lay out. 1.3 million lines of 20 px are 26 million px; Firefox ends at 17.8 million and
 * Chromium at 33.5 million. Above a bound, the element is only as high as the bound, and the place in the log and the place in the
 * element are two things: small movements (wheel, keys, fingers) move the log pixel by pixel, large ones (dragging the bar, clicking
 * into it) by proportion. Where the two have drifted apart, the element is quietly set to where the log is.
 */

/** The height that an element may have, in px: far below what any browser refuses. */
export const maxHeight = 8_000_000;

export class ScrollSpace {
  /** The place in the log, in px from its begin. */
  top = 0;
  /** The place in the element. */
  native = 0;
  private total = 0;
  private view = 0;

  constructor(private readonly max = maxHeight) {}

  /** The height of the element, in px. */
  get height(): number {
    return Math.min(this.total, this.max);
  }

  /** What is added to a place in the element to have that in the log: rows at y of the log are drawn at y - offset. */
  get offset(): number {
    return this.top - this.native;
  }

  /** The last place that can be scrolled to. */
  get end(): number {
    return Math.max(0, this.total - this.view);
  }

  private get nativeEnd(): number {
    return Math.max(0, this.height - this.view);
  }

  private get scaled(): boolean {
    return this.total > this.max;
  }

  /** Where the element ought to be for a place in the log. */
  private ideal(top: number): number {
    return this.scaled ? Math.round((top / this.end) * this.nativeEnd) : top;
  }

  /** Tells of new sizes; the place in the log stays. It returns where to set the element, as all of these do. */
  resize(total: number, view: number): number {
    this.total = total;
    this.view = view;
    return this.to(this.top);
  }

  /** Goes to a place in the log. */
  to(top: number): number {
    this.top = Math.min(Math.max(0, top), this.end);
    this.native = this.ideal(this.top);
    return this.native;
  }

  /** Tells that the element was scrolled. Where it returns another place than that, the element is to be set to it. */
  scrolled(native: number): number {
    const delta = native - this.native;
    if (!this.scaled) {
      this.native = native;
      this.top = Math.min(Math.max(0, native), this.end);
      return native;
    }
    if (native <= 0) return this.to(0);
    if (native >= this.nativeEnd - 1) return this.to(this.end);
    const small = Math.abs(delta) <= this.view * 2;
    this.native = native;
    this.top = Math.min(Math.max(0, small ? this.top + delta : (native / this.nativeEnd) * this.end), this.end);
    const margin = this.view * 2;
    const close = native < margin || native > this.nativeEnd - margin || this.top < margin || this.top > this.end - margin;
    return close ? this.settle() : native;
  }

  /** Sets the element to where the log is: when scrolling has come to rest, or near an end, so that both ends come together. */
  settle(): number {
    this.native = this.ideal(this.top);
    return this.native;
  }
}
