"""Text and bytes, as subprocess has them: text=, encoding= and errors=."""

import codecs
import io
from typing import Any, Mapping, NamedTuple, Optional, Tuple, Union


class Codec(NamedTuple):
    """How text is made of bytes, and bytes of text."""

    encoding: str
    errors: str

    def encode(self, text: str) -> bytes:
        """Return the bytes."""
        return text.encode(self.encoding, self.errors)

    def decode(self, data: bytes) -> str:
        """Return the text. All ends of lines become newlines."""
        return data.decode(self.encoding, self.errors).replace("\r\n", "\n").replace("\r", "\n")

    def decoder(self, newlines: bool) -> Any:
        """Return what decodes pieces; newlines: and makes all ends of lines newlines."""
        decoder = codecs.getincrementaldecoder(self.encoding)(self.errors)
        return io.IncrementalNewlineDecoder(decoder, translate=True) if newlines else decoder

    def decode_part(self, data: bytes, final: bool) -> Tuple[str, int]:
        """Return the text of a part, and how many bytes it is of: not final, the first bytes of a character wait for the rest."""
        decoder = codecs.getincrementaldecoder(self.encoding)(self.errors)
        text = decoder.decode(data, final)
        return text, len(data) - len(decoder.getstate()[0])


def codec_of(options: Mapping[str, Any]) -> Optional[Codec]:
    """Return what the options ask for; None: bytes."""
    if not any(options.get(name) for name in ("text", "encoding", "errors")):
        return None
    return Codec(options.get("encoding") or "utf-8", options.get("errors") or "strict")


def encoded(data: Union[str, bytes, bytearray, memoryview], codec: Optional[Codec]) -> memoryview:
    """Return the bytes to write; TypeError: text where bytes are wanted, or the other way round."""
    if isinstance(data, str) != (codec is not None):
        raise TypeError("write() argument must be {}, not {}".format("bytes" if codec is None else "str", type(data).__name__))
    return memoryview(codec.encode(data)) if isinstance(data, str) and codec else memoryview(data).cast("B")  # type: ignore[arg-type]
