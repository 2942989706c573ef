#include "gateway/http/content_encoding.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>

namespace allod::gateway::http {
namespace {

constexpr std::size_t kStepBytes = 16 << 10;
// For inflateInit2: the largest window, and what stands around the data.
constexpr int kZlibWindow = 15;
constexpr int kGzipWindow = 15 + 16;
constexpr int kRawWindow = -15;

class Inflater {
 public:
  explicit Inflater(int window_bits) { ready_ = ::inflateInit2(&stream_, window_bits) == Z_OK; }
  ~Inflater() {
    if (ready_) ::inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;

  Result<std::string> Run(std::string_view body, std::size_t bytes_max) {
    if (!ready_) return Internal("no memory to decode a request's body");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));  // zlib does not write there
    stream_.avail_in = static_cast<uInt>(body.size());
    std::string out;
    std::array<char, kStepBytes> step;
    int result = Z_OK;
    while (result == Z_OK) {
      stream_.next_out = reinterpret_cast<Bytef*>(step.data());
      stream_.avail_out = static_cast<uInt>(step.size());
      result = ::inflate(&stream_, Z_NO_FLUSH);
      const std::size_t made = step.size() - stream_.avail_out;
      if (made > bytes_max - out.size()) {
        return InvalidArgument("REQUEST_TOO_LARGE",
                               fmt::format("the request's body expands to more than {} bytes", bytes_max));
      }
      out.append(step.data(), made);
    }
    if (result != Z_STREAM_END) {
      return InvalidArgument("INVALID_ENCODING", "the request's body does not decode: it is damaged or cut short");
    }
    if (stream_.avail_in > 0) {
      return InvalidArgument("INVALID_ENCODING", "the request's body has more than one compressed part");
    }
    return out;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

// "deflate" means the zlib format; some clients send the bare data. Its first two bytes tell (RFC 1950).
bool HasZlibHeader(std::string_view body) {
  if (body.size() < 2) return true;
  const auto first = static_cast<unsigned char>(body[0]);
  const auto second = static_cast<unsigned char>(body[1]);
  return (first & 0x0f) == 8 && (first * 256 + second) % 31 == 0;
}

}  // namespace

Result<ContentEncoding> ContentEncodingOf(const Headers& headers) {
  ContentEncoding out = ContentEncoding::kIdentity;
  int count = 0;
  for (const auto& [name, value] : headers) {
    if (name != "content-encoding" || value.empty() || SameToken(value, "identity")) continue;
    const bool gzip = SameToken(value, "gzip") || SameToken(value, "x-gzip");
    if (++count > 1 || (!gzip && !SameToken(value, "deflate"))) {
      return InvalidArgument(
          "UNSUPPORTED_CONTENT_ENCODING",
          fmt::format("the body's Content-Encoding is not supported; send one of {}", kAcceptedEncodings));
    }
    out = gzip ? ContentEncoding::kGzip : ContentEncoding::kDeflate;
  }
  return out;
}

Result<std::string> DecodeContent(ContentEncoding encoding, std::string body, std::size_t bytes_max) {
  switch (encoding) {
    case ContentEncoding::kIdentity:
      return body;
    case ContentEncoding::kGzip:
      return Inflater(kGzipWindow).Run(body, bytes_max);
    case ContentEncoding::kDeflate:
      return Inflater(HasZlibHeader(body) ? kZlibWindow : kRawWindow).Run(body, bytes_max);
  }
  return Internal("no such content encoding");
}

}  // namespace allod::gateway::http
