#include "gateway/http/chunked_decoder.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::chunked_decoder_test {
namespace {

// What was decoded and how many bytes belong to the body, or the reason of the refusal.
std::string Decode(std::string_view text, std::size_t step, std::size_t bytes_max = 100) {
  ChunkedDecoder decoder(bytes_max, 64);
  std::string body;
  std::size_t used = 0;
  while (used < text.size() && !decoder.done()) {
    const auto fed = decoder.Feed(text.substr(used, step), body);
    if (!fed) return fed.error().reason;
    used += *fed;
  }
  return decoder.done() ? body + "|" + std::to_string(used) : body + "|more";
}

TEST(ChunkedDecoder, TakesBodiesApartHoweverTheyArrive) {
  struct Row {
    std::string text;
    const char* expected;
  };
  const Row table[] = {
      {"0\r\n\r\n", "|5"},
      {"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1", "hello|15"},
      {"5\r\nhello\r\n6\r\n world\r\n00\r\n\r\n", "hello world|27"},
      {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789|20"},
      {"5;name=value\r\nhello\r\n0;last\r\n\r\n", "hello|31"},
      {"5\r\nhello\r\n0\r\ntransfer-encoding: x\r\na: b\r\n\r\n", "hello|43"},
      {"5\r\nhel", "hel|more"},
      {"5\r\nhello\r\n0\r\n", "hello|more"},
  };
  for (const Row& row : table) {
    for (const std::size_t step : {1UL, 2UL, 3UL, 1000UL}) {
      EXPECT_EQ(Decode(row.text, step), row.expected) << row.text << " in steps of " << step;
    }
  }
}

TEST(ChunkedDecoder, RefusesWhatIsBroken) {
  const std::string table[] = {"\r\n",
                               "x\r\n",
                               "-5\r\nhello\r\n",
                               "0x5\r\nhello\r\n",
                               "5\nhello\r\n",
                               "5\r\rhello",
                               "5\r\nhelloo\r\n",
                               "5\r\nhello\n",
                               "5\r\nhello\r\r",
                               "5;" + std::string(300, 'a') + "\r\nhello\r\n",
                               "5;a\nhello\r\n",
                               "100000000\r\n",
                               "0\r\na: b\n\r\n",
                               "5 \r\nhello\r\n",
                               "5\t;a\r\nhello\r\n",
                               "0 \r\n\r\n",
                               "0\r\nno colon\r\n\r\n",
                               "0\r\nnone\r\n\r\n",
                               "0\r\n: b\r\n\r\n",
                               "0\r\na : b\r\n\r\n",
                               "0\r\na: b\r\n folded\r\n\r\n",
                               "0\r\n\rX",
                               "0\r\na: b\rX",
                               "0\r\n" + std::string(65, 'a')};
  for (const std::string& text : table) {
    EXPECT_EQ(Decode(text, 1), "INVALID_FRAMING") << text;
    EXPECT_EQ(Decode(text, 1000), "INVALID_FRAMING") << text;
  }
}

TEST(ChunkedDecoder, StopsAtTheLimitBeforeItTakesTheChunkIn) {
  EXPECT_EQ(Decode("5\r\nhello\r\n0\r\n\r\n", 1, 5), "hello|15");
  EXPECT_EQ(Decode("6\r\nhello!\r\n0\r\n\r\n", 1, 5), "REQUEST_TOO_LARGE");
  EXPECT_EQ(Decode("3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n", 1, 5), "REQUEST_TOO_LARGE");
  EXPECT_EQ(Decode("ffffffff\r\n", 1, 5), "REQUEST_TOO_LARGE");
}

}  // namespace
}  // namespace allod::gateway::http::chunked_decoder_test
