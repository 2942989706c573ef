// What counts of an answer by how much of it the client's socket took.
#include "gateway/openai/answer_writer.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "gateway/http/fake_response_writer.h"
#include "services/common/rpc/client.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::openai::answer_writer_test {
namespace {

using http::Taken;

class AnswerWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    auto journal = metering::Journal::Open(directory_.path(), 8, billing::v1::OUTCOME_GATEWAY_LOST);
    ASSERT_TRUE(journal) << journal.error().message;
    journal_ = *std::move(journal);
    // Nobody listens there: what is to be settled stays.
    settler_.emplace(*journal_, MakeChannel("unix:" + (directory_ / "nobody.sock").string()), std::chrono::seconds(7),
                     metering::Settler::Events());
  }
  metering::MeteredRequest Admit() {
    return *metering::MeteredRequest::Admit(
        *journal_, *settler_, {Uuid::V7(), "tenants/ke", "tenants/ke/projects/p/instances/i", {}}, "chat");
  }
  // Two tokens in one delta.
  static bool Tell(AnswerWriter& answer) {
    AnswerDelta delta;
    delta.set_text("Habari ya");
    delta.set_token_count(2);
    bool there = false;
    http::RunToEnd([&]() -> http::Awaitable<void> { there = co_await answer.Delta(delta); });
    return there;
  }
  static bool Finish(AnswerWriter& answer) {
    bool there = false;
    http::RunToEnd(
        [&]() -> http::Awaitable<void> { there = co_await answer.Finished(inference::v1::FINISH_REASON_STOP); });
    return there;
  }

  struct Case {
    Taken taken;
    bool stopping;
    bool counts;
  };
  static constexpr Case kCases[] = {
      {Taken::kAll, false, true}, {Taken::kSome, false, true}, {Taken::kNothing, false, false},
      {Taken::kAll, true, true},  {Taken::kSome, true, false}, {Taken::kNothing, true, false},
  };

  TempDir directory_;
  std::unique_ptr<metering::Journal> journal_;
  std::optional<metering::Settler> settler_;
};

TEST_F(AnswerWriterTest, AWholeAnswerCountsWholeWhenAPartOfItWasTaken) {
  for (const Case& c : kCases) {
    metering::MeteredRequest metered = Admit();
    http::FakeResponseWriter out;
    const auto answer = MakeWholeAnswer({AnswerHead(), {}, 1, metered, out});
    EXPECT_TRUE(Tell(*answer));
    EXPECT_EQ(metered.delivered(), 0) << "nothing is handed over before its end";
    out.taken = c.taken;
    out.is_shutting_down = c.stopping;
    EXPECT_EQ(Finish(*answer), c.counts);
    EXPECT_EQ(metered.delivered(), c.counts ? 2 : 0);
  }
}

TEST_F(AnswerWriterTest, APieceOfAStreamCountsWhenAPartOfItWasTaken) {
  for (const Case& c : kCases) {
    metering::MeteredRequest metered = Admit();
    http::FakeResponseWriter out;
    const auto answer = MakeStreamAnswer({AnswerHead(), {}, 1, metered, out});
    out.taken = c.taken;
    out.is_shutting_down = c.stopping;
    EXPECT_EQ(Tell(*answer), c.taken == Taken::kAll) << "who broke it off is gone";
    EXPECT_EQ(metered.delivered(), c.counts ? 2 : 0);
  }
}

TEST_F(AnswerWriterTest, TheEndOfAStreamIsAnAnswerWhenAPartOfItWasTaken) {
  for (const Case& c : kCases) {
    metering::MeteredRequest metered = Admit();
    http::FakeResponseWriter out;
    const auto answer = MakeStreamAnswer({AnswerHead(), {}, 1, metered, out});
    EXPECT_TRUE(Tell(*answer));
    out.taken = c.taken;
    out.is_shutting_down = c.stopping;
    EXPECT_EQ(Finish(*answer), c.counts);
    EXPECT_EQ(metered.delivered(), 2) << "what came before its end";
  }
}

TEST_F(AnswerWriterTest, AWholeAnswerIsNotSentToWhoHasLeft) {
  metering::MeteredRequest metered = Admit();
  http::FakeResponseWriter out;
  const auto answer = MakeWholeAnswer({AnswerHead(), {}, 1, metered, out});
  EXPECT_TRUE(Tell(*answer));
  out.is_gone = true;
  EXPECT_FALSE(Finish(*answer));
  EXPECT_EQ(out.response.body, "") << "it would get it for nothing";
  EXPECT_EQ(metered.delivered(), 0);
}

TEST_F(AnswerWriterTest, NothingOfAStreamIsSentToWhoLeavesWhileItsHeadIsSent) {
  metering::MeteredRequest metered = Admit();
  http::FakeResponseWriter out;
  const auto answer = MakeStreamAnswer({AnswerHead(), {}, 1, metered, out});
  out.leaves_with_head = true;
  EXPECT_FALSE(Tell(*answer));
  EXPECT_EQ(out.response.body, "") << "it would get it for nothing";
  EXPECT_EQ(metered.delivered(), 0);
}

}  // namespace
}  // namespace allod::gateway::openai::answer_writer_test
