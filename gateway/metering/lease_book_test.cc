#include "gateway/metering/lease_book.h"

#include <gtest/gtest.h>

namespace allod::gateway::metering::lease_book_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Ask = LeaseBook::Ask;
using Mood = LeaseBook::Mood;
using Step = LeaseBook::Step;
using SteadyTime = LeaseBook::SteadyTime;

constexpr SteadyTime kStart{seconds(1000)};
SteadyTime At(int ms) { return kStart + milliseconds(ms); }
constexpr Amount Money(int units) { return Amount::FromPico(Int128{units}); }

const PriceKey kTerms{"v/q4", "priceBooks/a", "pooled"};
const TokenPrices kPrices{Money(1), Money(2)};

class LeaseBookTest : public testing::Test {
 protected:
  // A lease with that much, of which nothing was taken yet.
  void Open(int free) {
    book_.Begin(id_);
    const LeaseBook::Waiting waiting{Money(free), Money(free), std::nullopt};
    ASSERT_TRUE(book_.NextStep(&waiting, Mood::kOpen, At(0)).ask);
    Answer(free);
  }
  void Answer(int added, int now_ms = 0, bool recalled = false) {
    book_.OnAdjusted({Money(added), seconds(60), seconds(600), kPrices, recalled}, At(now_ms));
  }
  Step Next(int now_ms, Mood mood = Mood::kOpen) { return book_.NextStep(nullptr, mood, At(now_ms)); }
  Step NextFor(int first, int all, int now_ms) {
    const LeaseBook::Waiting waiting{Money(first), Money(all), std::nullopt};
    return book_.NextStep(&waiting, Mood::kOpen, At(now_ms));
  }
  Ask Said(std::int64_t epoch, int need, int want, int give_back, bool end = false) const {
    return {id_, epoch, Money(need), Money(want), Money(give_back), end, std::nullopt};
  }

  const Uuid id_ = Uuid::V7();
  LeaseBook book_;
};

TEST_F(LeaseBookTest, BeginsWithThePriceThenWithWhatIsNeededAndSome) {
  EXPECT_TRUE(book_.empty());
  book_.Begin(id_);
  const LeaseBook::Waiting unpriced{{}, {}, kTerms};
  Ask price = Said(1, 0, 0, 0);
  price.terms = kTerms;
  EXPECT_EQ(book_.NextStep(&unpriced, Mood::kOpen, At(0)), Step{.ask = price});
  EXPECT_FALSE(book_.empty()) << "it may be there";
  EXPECT_EQ(NextFor(10, 10, 1), Step()) << "one adjustment at a time";
  Answer(0);
  ASSERT_NE(book_.PricesOf(kTerms), nullptr);
  EXPECT_EQ(*book_.PricesOf(kTerms), kPrices);
  EXPECT_FALSE(book_.TryTake(Money(10), At(1)));
  EXPECT_EQ(NextFor(10, 30, 2), Step{.ask = Said(2, 10, 70, 0)}) << "for all who wait, and four more like the first";
}

TEST_F(LeaseBookTest, TakesWhatIsFreeAndNoMore) {
  Open(25);
  EXPECT_TRUE(book_.TryTake(Money(10), At(1)));
  EXPECT_TRUE(book_.TryTake(Money(10), At(1)));
  EXPECT_FALSE(book_.TryTake(Money(10), At(1)));
  EXPECT_TRUE(book_.TryTake(Money(5), At(1)));
  EXPECT_EQ(book_.free(), Money(0));
  EXPECT_EQ(book_.outstanding(), Money(25));
  book_.Settle(id_, Money(10), Money(3));
  EXPECT_EQ(book_.free(), Money(7));
  EXPECT_EQ(book_.outstanding(), Money(15));
  book_.Settle(Uuid::V7(), Money(10), Money(0));
  EXPECT_EQ(book_.free(), Money(7)) << "of a lease of before: billing has the rest";
}

TEST_F(LeaseBookTest, AdmitsForAsLongAsBillingSaid) {
  Open(25);
  EXPECT_TRUE(book_.TryTake(Money(10), At(59'999)));
  EXPECT_FALSE(book_.TryTake(Money(10), At(60'000)));
  EXPECT_TRUE(book_.TryExchange(id_, Money(10), Money(12), At(60'000))) << "it was admitted in time";
  EXPECT_FALSE(book_.TryExchange(id_, Money(12), Money(13), At(600'000))) << "the lease is over";
  EXPECT_EQ(NextFor(5, 5, 61'000).ask->need, Money(0)) << "it is there, but too old";
}

TEST_F(LeaseBookTest, HoldsFromWhenTheAdjustmentWasSentFirst) {
  book_.Begin(id_);
  const LeaseBook::Waiting waiting{Money(10), Money(10), std::nullopt};
  ASSERT_TRUE(book_.NextStep(&waiting, Mood::kOpen, At(0)).ask);
  EXPECT_TRUE(book_.asked()) << "to be repeated";
  Answer(10, 50'000);
  EXPECT_FALSE(book_.TryTake(Money(10), At(60'000)));
}

TEST_F(LeaseBookTest, ExchangesTheDifferenceOnly) {
  Open(25);
  ASSERT_TRUE(book_.TryTake(Money(20), At(1)));
  EXPECT_FALSE(book_.TryExchange(id_, Money(20), Money(26), At(1)));
  EXPECT_TRUE(book_.TryExchange(id_, Money(20), Money(25), At(1)));
  EXPECT_TRUE(book_.TryExchange(id_, Money(25), Money(5), At(1)));
  EXPECT_EQ(book_.free(), Money(20));
  EXPECT_EQ(book_.outstanding(), Money(5));
  EXPECT_FALSE(book_.TryExchange(Uuid::V7(), Money(5), Money(5), At(1)));
}

TEST_F(LeaseBookTest, WhatItSaysWhenNobodyWaits) {
  struct Case {
    const char* says;
    int taken, settled_for;  // of 100; -1: not settled
    int now_ms;
    Step step;
  };
  const Uuid id = id_;
  const auto said = [id](int give_back, bool end, int want = 0) {
    return Step{.ask = Ask{id, 2, {}, Money(want), Money(give_back), end, std::nullopt}};
  };
  for (const Case& c : {
           Case{"just used", 10, -1, 1000, {.until = At(2000)}},
           Case{"idle for two seconds: what is free goes back", 10, -1, 2000, said(90, false)},
           Case{"and what is running stays", 100, -1, 2000, {.until = At(30'000)}},
           Case{"little is left of what two seconds took: more ahead of need", 60, -1, 1000, said(0, false, 200)},
           Case{"half its time is over", 100, -1, 30'000, said(0, false)},
           Case{"idle for long, but something runs", 100, -1, 29'000, {.until = At(30'000)}},
           Case{"idle for long, and nothing runs", 100, 100, 30'000, said(0, true)},
           Case{"... with something free", 100, 40, 30'000, said(0, true)},
       }) {
    book_ = LeaseBook();
    Open(100);
    ASSERT_TRUE(book_.TryTake(Money(c.taken), At(0)));
    if (c.settled_for >= 0) book_.Settle(id_, Money(c.taken), Money(c.settled_for));
    EXPECT_EQ(Next(c.now_ms), c.step) << c.says;
  }
}

TEST_F(LeaseBookTest, WhatIsGivenBackIsNotFreeFromThenOn) {
  Open(100);
  EXPECT_EQ(Next(2000), Step{.ask = Said(2, 0, 0, 100)});
  EXPECT_FALSE(book_.TryTake(Money(1), At(2000))) << "billing may have it already";
  book_.OnRefused();
  EXPECT_TRUE(book_.TryTake(Money(1), At(2001)));
  EXPECT_EQ(Next(4001), Step{.ask = Said(2, 0, 0, 99)}) << "nothing was changed: the same epoch";
}

TEST_F(LeaseBookTest, ARecallTakesWhatIsFreeAtOnceAndBeforeAnythingIsAskedFor) {
  Open(100);
  ASSERT_TRUE(book_.TryTake(Money(60), At(0)));
  book_.Recall(Uuid::V7());
  EXPECT_FALSE(Next(1).ask && Next(1).ask->give_back > Money(0)) << "another lease was meant";
  book_ = LeaseBook();
  Open(100);
  ASSERT_TRUE(book_.TryTake(Money(60), At(0)));
  book_.Recall(id_);
  EXPECT_EQ(NextFor(50, 50, 1), Step{.ask = Said(2, 0, 0, 40)});
  Answer(0, 2);
  EXPECT_EQ(NextFor(50, 500, 3), Step{.ask = Said(3, 50, 50, 0)}) << "others want the money too: no more than needed";
  Answer(50, 4, true);
  EXPECT_EQ(Next(5), Step{.ask = Said(4, 0, 0, 50)}) << "recalled by an answer";
}

TEST_F(LeaseBookTest, WhenThereIsLittleItDoesNotAskAheadOfNeed) {
  Open(100);
  ASSERT_TRUE(book_.TryTake(Money(100), At(0)));
  EXPECT_FALSE(Next(10).ask) << "billing had less than was wanted";
  EXPECT_EQ(Next(1010), Step{.ask = Said(2, 0, 400, 0)});
  Answer(20, 1020);
  EXPECT_FALSE(Next(1030).ask);
  EXPECT_FALSE(book_.is_low(At(1030)));
  ASSERT_TRUE(book_.TryTake(Money(10), At(1500)));
  EXPECT_TRUE(book_.is_low(At(2020)));
  EXPECT_EQ(Next(2020), Step{.ask = Said(3, 0, 390, 0)});
}

TEST_F(LeaseBookTest, EndsWithTheGateway) {
  Open(100);
  ASSERT_TRUE(book_.TryTake(Money(60), At(0)));
  EXPECT_EQ(Next(1, Mood::kEnding), Step{.ask = Said(2, 0, 0, 40)}) << "something waits to be settled";
  Answer(0, 2);
  EXPECT_EQ(Next(3, Mood::kEnding), Step());
  book_.Settle(id_, Money(60), Money(60));
  EXPECT_EQ(Next(4, Mood::kEnding), Step{.ask = Said(3, 0, 0, 0, true)});
  Answer(0, 5);
  EXPECT_TRUE(book_.empty());
  EXPECT_EQ(Next(6, Mood::kEnding), Step());
}

TEST_F(LeaseBookTest, OneThatIsGoneIsMadeAnewAndOwesNothing) {
  Open(100);
  ASSERT_TRUE(book_.TryTake(Money(60), At(0)));
  ASSERT_TRUE(Next(2000).ask);
  book_.OnGone();
  EXPECT_TRUE(book_.empty());
  EXPECT_FALSE(book_.has_id());
  const Uuid next = Uuid::V7();
  book_.Begin(next);
  const Step step = NextFor(10, 10, 2001);
  ASSERT_TRUE(step.ask);
  EXPECT_EQ(step.ask->epoch, 1);
  EXPECT_EQ(step.ask->lease_id, next);
  Answer(50, 2002);
  book_.Settle(id_, Money(60), Money(10));
  EXPECT_EQ(book_.free(), Money(50));
  EXPECT_EQ(book_.outstanding(), Money(0));
}

TEST_F(LeaseBookTest, IsFilledForWhatLatelyWasSpent) {
  Open(10'000);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(book_.TryTake(Money(100), At(i * 100)));
  EXPECT_EQ(NextFor(9000, 9000, 1900).ask->want, Money(9000 + 36'000 - 8000)) << "four times who waits";
  book_.OnRefused();
  Demand demand;
  for (int i = 0; i < 20; ++i) demand.Add(Money(100), At(i * 100));
  EXPECT_EQ(demand.lately(At(1999)), Money(2000));
  EXPECT_EQ(demand.largest(At(1999)), Money(100));
  EXPECT_EQ(demand.lately(At(3500)), Money(1000)) << "of the last three seconds";
  EXPECT_EQ(demand.lately(At(9000)), Money(0));
}

}  // namespace
}  // namespace allod::gateway::metering::lease_book_test
