#include "inference/engine/token_stream.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace allod::inference::engine::token_stream_test {
namespace {

using namespace std::chrono_literals;

ports::Delta Text(std::string text, std::int32_t tokens) {
  ports::Delta delta;
  delta.text = std::move(text);
  delta.token_count = tokens;
  return delta;
}

class TokenStreamTest : public ::testing::Test {
 protected:
  // The next event, which must be there and of type T.
  template <typename T>
  T Take() {
    Result<std::optional<ports::Event>> event = stream_.Next(0ms);
    if (event && event->has_value()) {
      if (const T* wanted = std::get_if<T>(&**event)) return *wanted;
    }
    ADD_FAILURE() << "another event, or none";
    return {};
  }
  std::shared_ptr<Wakeup> wakeup_ = std::make_shared<Wakeup>();
  TokenStream stream_{{.tokens_max = 4, .bytes_max = 16, .pace = 0us}, wakeup_};
};

TEST_F(TokenStreamTest, MergesWhatTheReaderHasNotTaken) {
  stream_.Start({.prompt_tokens = 3});
  stream_.Push(Text("a", 1));
  stream_.Push(Text("b", 2));
  EXPECT_EQ(Take<ports::Started>().prompt_tokens, 3);
  const auto delta = Take<ports::Delta>();
  EXPECT_EQ(delta.text, "ab");
  EXPECT_EQ(delta.token_count, 3);
  EXPECT_FALSE(*stream_.Next(0ms));
}

TEST_F(TokenStreamTest, IsFullByTokensAndByBytesUntilRead) {
  stream_.Push(Text("a", 3));
  EXPECT_FALSE(stream_.is_full());
  stream_.Push(Text("b", 1));
  EXPECT_TRUE(stream_.is_full());
  EXPECT_EQ(Take<ports::Delta>().text, "ab");
  EXPECT_FALSE(stream_.is_full());
  wakeup_->Wait();  // returns, because reading a full stream notifies
  stream_.Push(Text(std::string(16, 'x'), 1));
  EXPECT_TRUE(stream_.is_full());
}

TEST_F(TokenStreamTest, DeliversTextBeforeTheEnd) {
  stream_.Push(Text("last", 1));
  stream_.Finish({.completion_tokens = 1});
  EXPECT_EQ(Take<ports::Delta>().text, "last");
  EXPECT_EQ(Take<ports::Finished>().completion_tokens, 1);
}

TEST_F(TokenStreamTest, FailureComesAfterTheText) {
  stream_.Push(Text("some", 1));
  stream_.Fail({Code::kInternal, "DECODE_FAILED", "x"});
  EXPECT_EQ(Take<ports::Delta>().text, "some");
  EXPECT_EQ(stream_.Next(0ms).error().reason, "DECODE_FAILED");
}

TEST_F(TokenStreamTest, CancelWakesTheOtherSide) {
  stream_.Cancel();
  EXPECT_TRUE(stream_.is_cancelled());
  wakeup_->Wait();
}

TEST_F(TokenStreamTest, ReaderGetsEverythingFromAnotherThread) {
  constexpr int kTokens = 2000;
  std::thread writer([&] {
    for (int i = 0; i < kTokens; ++i) {
      while (stream_.is_full()) wakeup_->Wait();
      stream_.Push(Text("x", 1));
    }
    stream_.Finish({.completion_tokens = kTokens});
  });
  int tokens = 0;
  for (bool finished = false; !finished;) {
    const Result<std::optional<ports::Event>> event = stream_.Next(1000ms);
    ASSERT_TRUE(event && event->has_value());
    finished = std::holds_alternative<ports::Finished>(**event);
    if (const auto* delta = std::get_if<ports::Delta>(&**event)) {
      tokens += delta->token_count;
      EXPECT_LE(delta->token_count, 4);
    }
  }
  writer.join();
  EXPECT_EQ(tokens, kTokens);
}

}  // namespace
}  // namespace allod::inference::engine::token_stream_test
