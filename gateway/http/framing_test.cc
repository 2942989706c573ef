#include "gateway/http/framing.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::framing_test {
namespace {

using Kind = BodyFraming::Kind;
const std::pair<std::string, std::string> kHost{"host", "h"};

TEST(HttpFraming, ReadsWhatRfc9112Section6Allows) {
  struct Row {
    Headers headers;
    bool http_1_1;
    Kind kind;
    std::uint64_t length;
  };
  const Row table[] = {{{kHost}, true, Kind::kNone, 0},
                       {{kHost, {"content-length", "0"}}, true, Kind::kNone, 0},
                       {{kHost, {"content-length", "7"}}, true, Kind::kLength, 7},
                       {{kHost, {"content-length", "007"}}, true, Kind::kLength, 7},
                       {{kHost, {"content-length", "18446744073709551615"}}, true, Kind::kLength, UINT64_MAX},
                       {{kHost, {"transfer-encoding", "chunked"}}, true, Kind::kChunked, 0},
                       {{kHost, {"transfer-encoding", " Chunked\t"}}, true, Kind::kChunked, 0},
                       {{}, false, Kind::kNone, 0},
                       {{{"content-length", "7"}}, false, Kind::kLength, 7}};
  for (const Row& row : table) {
    const auto framing = FramingOf(row.headers, row.http_1_1);
    ASSERT_TRUE(framing) << framing.error().message;
    EXPECT_EQ(framing->kind, row.kind);
    EXPECT_EQ(framing->length, row.length);
  }
}

TEST(HttpFraming, RefusesWhatTwoReadersCouldReadDifferently) {
  const Headers table[] = {
      {},
      {kHost, kHost},
      {{"host", ""}},
      {{"host", "a b"}},
      {{"host", "x:99999"}},
      {kHost, {"authorization", "Bearer a"}, {"authorization", "Bearer b"}},
      {kHost, {"transfer-encoding", "identity"}},
      {kHost, {"transfer-encoding", ""}},
      {kHost, {"transfer-encoding", "gzip, chunked"}},
      {kHost, {"transfer-encoding", "chunked, identity"}},
      {kHost, {"transfer-encoding", "chunked;q=1"}},
      {kHost, {"transfer-encoding", "xchunked"}},
      {kHost, {"transfer-encoding", "\vchunked"}},
      {kHost, {"transfer-encoding", "chunked"}, {"transfer-encoding", "chunked"}},
      {kHost, {"transfer-encoding", "chunked"}, {"transfer-encoding", "identity"}},
      {kHost, {"transfer-encoding", "chunked"}, {"content-length", "5"}},
      {kHost, {"transfer-encoding", "identity"}, {"content-length", "5"}},
      {kHost, {"content-length", "5"}, {"content-length", "5"}},
      {kHost, {"content-length", "5"}, {"content-length", "6"}},
      {kHost, {"content-length", "5, 5"}},
      {kHost, {"content-length", ""}},
      {kHost, {"content-length", "+5"}},
      {kHost, {"content-length", "-5"}},
      {kHost, {"content-length", "0x5"}},
      {kHost, {"content-length", "5 5"}},
      {kHost, {"content-length", "18446744073709551616"}},
  };
  for (const Headers& headers : table) {
    const auto framing = FramingOf(headers, true);
    ASSERT_FALSE(framing) << (headers.empty() ? "" : headers.back().second);
    EXPECT_EQ(framing.error().reason, "INVALID_FRAMING");
  }
  EXPECT_FALSE(FramingOf({kHost, {"transfer-encoding", "chunked"}}, false)) << "HTTP/1.0 has no chunks";
}

TEST(HttpFraming, ExpectationsAreReadInAnyCaseAndNotInHttp10) {
  EXPECT_FALSE(*ExpectsContinue({kHost}, true));
  EXPECT_TRUE(*ExpectsContinue({{"expect", "100-continue"}}, true));
  EXPECT_TRUE(*ExpectsContinue({{"expect", "100-Continue"}}, true));
  EXPECT_FALSE(*ExpectsContinue({{"expect", "100-continue"}}, false));
  EXPECT_FALSE(*ExpectsContinue({{"expect", "a miracle"}}, false));
  const auto other = ExpectsContinue({{"expect", "a miracle"}}, true);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason, "EXPECTATION_FAILED");
}

}  // namespace
}  // namespace allod::gateway::http::framing_test
