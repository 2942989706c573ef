#include "gateway/http/chunked_decoder.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::gateway::http {
namespace {

constexpr int kSizeDigitsMax = 8;
constexpr std::size_t kExtensionBytesMax = 256;

std::unexpected<Error> BadChunk(const char* what) {
  return InvalidArgument("INVALID_FRAMING", fmt::format("the chunked body is broken: {}", what));
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 9110 section 5.6.2.
bool IsNameChar(char c) {
  constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kSigns.find(c) != std::string_view::npos;
}

}  // namespace

Result<std::size_t> ChunkedDecoder::Feed(std::string_view bytes, std::string& body) {
  std::size_t at = 0;
  while (at < bytes.size() && !done()) {
    if (state_ == State::kData) {
      const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
      body.append(bytes.substr(at, n));
      at += n;
      left_ -= n;
      if (left_ == 0) state_ = State::kDataCr;
    } else {
      ALLOD_CHECK_OK(Step(bytes[at], body.size()));
      ++at;
    }
  }
  return at;
}

Status ChunkedDecoder::Step(char c, std::size_t body_size) {
  switch (state_) {
    case State::kSize: {
      const int digit = HexValue(c);
      if (digit >= 0) {
        if (++digits_ > kSizeDigitsMax) return BadChunk("a chunk's size has too many digits");
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        return {};
      }
      if (digits_ == 0) return BadChunk("a chunk's size is missing");
      if (c == '\r') {
        state_ = State::kSizeEnd;
      } else if (c == ';') {
        state_ = State::kExtension;
      } else {
        return BadChunk("a chunk's size is not a hexadecimal number");
      }
      return {};
    }
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeEnd;
      } else if (c == '\n' || ++line_bytes_ > kExtensionBytesMax) {
        return BadChunk("a chunk's extensions are too long or end without CR");
      }
      return {};
    case State::kSizeEnd:
      if (c != '\n') return BadChunk("a chunk's size does not end with CR LF");
      return EndSize(body_size);
    case State::kDataCr:
      if (c != '\r') return BadChunk("a chunk is longer than its size says");
      state_ = State::kDataLf;
      return {};
    case State::kDataLf:
      if (c != '\n') return BadChunk("a chunk does not end with CR LF");
      state_ = State::kSize;
      left_ = 0;
      digits_ = 0;
      line_bytes_ = 0;
      return {};
    case State::kLineStart:
      state_ = c == '\r' ? State::kLastLf : State::kTrailerName;
      if (c == ':') return BadChunk("a trailer has no name");
      [[fallthrough]];
    case State::kTrailerName:
    case State::kTrailer:
      if (++trailer_bytes_ > trailer_bytes_max_) return BadChunk("its trailers are too long");
      if (state_ == State::kTrailerName) {
        if (c != ':' && !IsNameChar(c)) return BadChunk("a trailer has no name with a colon behind it");
        if (c == ':') state_ = State::kTrailer;
        return {};
      }
      if (c == '\n') return BadChunk("a trailer ends without CR");
      if (c == '\r' && state_ == State::kTrailer) state_ = State::kTrailerLf;
      return {};
    case State::kTrailerLf:
      if (c != '\n') return BadChunk("a trailer does not end with CR LF");
      state_ = State::kLineStart;
      return {};
    case State::kLastLf:
      if (c != '\n') return BadChunk("it does not end with CR LF");
      state_ = State::kDone;
      return {};
    case State::kData:
    case State::kDone:
      break;
  }
  return {};
}

Status ChunkedDecoder::EndSize(std::size_t body_size) {
  if (left_ == 0) {
    state_ = State::kLineStart;
    return {};
  }
  if (left_ > body_bytes_max_ - body_size) {
    return InvalidArgument("REQUEST_TOO_LARGE",
                           fmt::format("the request's body has more than {} bytes", body_bytes_max_));
  }
  state_ = State::kData;
  return {};
}

}  // namespace allod::gateway::http
