#include "services/common/rpc/long_poll.h"

#include <gtest/gtest.h>

#include <thread>

namespace allod::long_poll_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LongPollTest : public testing::Test {
 protected:
  // Counts the looks; true from the `found_at`th on.
  std::function<Result<bool>()> FoundAt(int found_at) {
    return [this, found_at]() -> Result<bool> { return ++looks_ >= found_at; };
  }
  const grpc::ServerContext context_;
  ChangeSignal changes_;
  int looks_ = 0;
};

TEST_F(LongPollTest, ReturnsAtOnceWhatIsThere) {
  ASSERT_TRUE(LongPoll(context_, changes_, {}, FoundAt(1)));
  EXPECT_EQ(looks_, 1);
}

TEST_F(LongPollTest, LooksAgainAfterAChange) {
  ASSERT_TRUE(LongPoll(context_, changes_, {}, [this]() -> Result<bool> {
    if (looks_ == 0) changes_.Notify();  // between the look and the wait
    return ++looks_ == 2;
  }));
  EXPECT_EQ(looks_, 2);
}

TEST_F(LongPollTest, LooksOnceWhileNothingChanges) {
  ASSERT_TRUE(LongPoll(context_, changes_, {.wait = milliseconds(20)}, FoundAt(100)));
  EXPECT_EQ(looks_, 1);
}

TEST_F(LongPollTest, LooksByItselfAtWhatIsNotToldOf) {
  const LongPollOptions options{.wait = seconds(60), .look_every = milliseconds(1)};
  ASSERT_TRUE(LongPoll(context_, changes_, options, FoundAt(3)));
  EXPECT_EQ(looks_, 3);
}

TEST_F(LongPollTest, LooksOnceMoreAtTheEndAtWhatIsNotToldOf) {
  const LongPollOptions options{.wait = milliseconds(20), .look_every = seconds(60)};
  ASSERT_TRUE(LongPoll(context_, changes_, options, FoundAt(100)));
  EXPECT_EQ(looks_, 2);
}

TEST_F(LongPollTest, DoesNotWaitWhenItIsAskedNotTo) {
  ASSERT_TRUE(LongPoll(context_, changes_, {.wait = milliseconds(-5)}, FoundAt(100)));
  EXPECT_EQ(looks_, 1);
}

TEST_F(LongPollTest, PassesTheErrorOfALookOn) {
  const Status polled = LongPoll(context_, changes_, {}, []() -> Result<bool> { return NotFound("it is gone"); });
  ASSERT_FALSE(polled);
  EXPECT_EQ(polled.error().message, "it is gone");
}

TEST_F(LongPollTest, EndsWhenTheServiceStops) {
  std::thread stopper([this] { changes_.Stop(); });
  EXPECT_TRUE(LongPoll(context_, changes_, {}, FoundAt(100)));
  stopper.join();
}

}  // namespace
}  // namespace allod::long_poll_test
