// Takes a body in the chunked coding (RFC 9112 section 7.1) apart as its bytes come. Pure; one per body.
//
// Extensions and trailers are read and dropped, within bounds: nothing that comes after the head can change it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod::gateway::http {

class ChunkedDecoder {
 public:
  // `body_bytes_max` bounds what is decoded, `trailer_bytes_max` all trailers together.
  ChunkedDecoder(std::size_t body_bytes_max, std::size_t trailer_bytes_max)
      : body_bytes_max_(body_bytes_max), trailer_bytes_max_(trailer_bytes_max) {}

  // Appends what `bytes` hold of the body to `body` and returns how many of them belong to it: fewer than all only once
  // done(), what follows is the next request. INVALID_ARGUMENT / INVALID_FRAMING, REQUEST_TOO_LARGE.
  Result<std::size_t> Feed(std::string_view bytes, std::string& body);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State {
    kSize,
    kExtension,
    kSizeEnd,
    kData,
    kDataCr,
    kDataLf,
    kLineStart,
    kTrailerName,
    kTrailer,
    kTrailerLf,
    kLastLf,
    kDone
  };
  // One byte that is not data.
  Status Step(char c, std::size_t body_size);
  Status EndSize(std::size_t body_size);

  const std::size_t body_bytes_max_;
  const std::size_t trailer_bytes_max_;
  State state_ = State::kSize;
  std::uint64_t left_ = 0;      // of the chunk
  int digits_ = 0;              // of its size
  std::size_t line_bytes_ = 0;  // of its extensions
  std::size_t trailer_bytes_ = 0;
};

}  // namespace allod::gateway::http
