#include "gateway/http/content_encoding.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace allod::gateway::http::content_encoding_test {
namespace {

using enum ContentEncoding;

std::string Compress(const std::string& text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
std::string Gzip(const std::string& text) { return Compress(text, 15 + 16); }
std::string Zlib(const std::string& text) { return Compress(text, 15); }
std::string Raw(const std::string& text) { return Compress(text, -15); }

TEST(ContentEncodingOf, KnowsWhatItCanUndoAndRefusesTheRest) {
  EXPECT_EQ(*ContentEncodingOf({}), kIdentity);
  EXPECT_EQ(*ContentEncodingOf({{"content-encoding", "Identity"}}), kIdentity);
  EXPECT_EQ(*ContentEncodingOf({{"content-encoding", "GZip"}}), kGzip);
  EXPECT_EQ(*ContentEncodingOf({{"content-encoding", "x-gzip"}}), kGzip);
  EXPECT_EQ(*ContentEncodingOf({{"content-encoding", "deflate"}}), kDeflate);
  for (const char* other : {"br", "zstd", "gzip, gzip", "gzip,br", "*", "\xff"}) {
    const auto encoding = ContentEncodingOf({{"content-encoding", other}});
    ASSERT_FALSE(encoding) << other;
    EXPECT_EQ(encoding.error().reason, "UNSUPPORTED_CONTENT_ENCODING");
    EXPECT_NE(encoding.error().message.find("gzip, deflate"), std::string::npos);
  }
  EXPECT_FALSE(ContentEncodingOf({{"content-encoding", "gzip"}, {"content-encoding", "gzip"}}));
}

TEST(DecodeContent, UndoesEachCoding) {
  const std::string text(100'000, 'x');
  for (const std::string& t : {std::string(), std::string("{}"), text}) {
    EXPECT_EQ(*DecodeContent(kIdentity, t, 1 << 20), t);
    EXPECT_EQ(*DecodeContent(kGzip, Gzip(t), 1 << 20), t);
    EXPECT_EQ(*DecodeContent(kDeflate, Zlib(t), 1 << 20), t);
    EXPECT_EQ(*DecodeContent(kDeflate, Raw(t), 1 << 20), t) << "some clients send it bare";
  }
}

TEST(DecodeContent, BoundsWhatItExpandsTo) {
  const std::string bomb = Gzip(std::string(64 << 20, 'x'));
  ASSERT_LT(bomb.size(), 100U << 10);
  const auto refused = DecodeContent(kGzip, bomb, 1 << 20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "REQUEST_TOO_LARGE");
  EXPECT_TRUE(DecodeContent(kGzip, Gzip(std::string(1000, 'x')), 1000));
  EXPECT_FALSE(DecodeContent(kGzip, Gzip(std::string(1001, 'x')), 1000));
}

TEST(DecodeContent, RefusesWhatIsDamaged) {
  const std::string whole = Gzip("{\"a\":1}");
  std::string flipped = whole;
  flipped[whole.size() - 6] ^= 1;  // of the checksum
  for (const std::string& damaged : {std::string(), std::string("{}"), whole.substr(0, whole.size() - 1),
                                     whole.substr(0, 5), flipped, whole + "x", whole + whole}) {
    const auto refused = DecodeContent(kGzip, damaged, 1 << 20);
    ASSERT_FALSE(refused) << damaged.size();
    EXPECT_EQ(refused.error().reason, "INVALID_ENCODING");
  }
  EXPECT_FALSE(DecodeContent(kDeflate, "plain text", 1 << 20));
  EXPECT_FALSE(DecodeContent(kDeflate, "", 1 << 20));
}

}  // namespace
}  // namespace allod::gateway::http::content_encoding_test
