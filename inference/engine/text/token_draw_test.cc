#include "inference/engine/text/token_draw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <thread>

#include "inference/engine/text/draw_budget.h"

namespace allod::inference::engine::text::token_draw_test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// Allows some tokens, and takes its time.
class FakeRule final : public TokenRule {
 public:
  explicit FakeRule(std::set<std::int32_t> tokens) : allowed_tokens(std::move(tokens)) {}
  Status Check(std::span<const std::int32_t> tokens, std::span<bool> allowed) override {
    largest = std::max(largest, tokens.size());
    if (std::ssize(tokens) > at_once_max) return Fail(Code::kResourceExhausted, "PIECE_TOO_COSTLY", "fewer");
    if (fails) return InvalidArgument("CONSTRAINT_TOO_COSTLY", "no more");
    checked += tokens.size();
    std::this_thread::sleep_for(per_token * tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) allowed[i] = allowed_tokens.contains(tokens[i]);
    return {};
  }
  Status Accept(std::int32_t token) override {
    accepted.push_back(token);
    return {};
  }
  bool IsEnd(std::int32_t token) const override { return token == end; }

  std::set<std::int32_t> allowed_tokens;
  std::chrono::microseconds per_token{0};
  std::ptrdiff_t at_once_max = 1 << 20;
  bool fails = false;
  std::int32_t end = -1;
  std::size_t checked = 0, largest = 0;
  std::vector<std::int32_t> accepted;
};

std::vector<float> Logits(int size, std::uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<float> out(static_cast<std::size_t>(size));
  for (float& logit : out) logit = static_cast<float>(random() % 1000) / 100.0F;
  return out;
}

std::optional<std::int32_t> DrawAll(TokenDraw& draw) {
  while (true) {
    const auto done = draw.Advance(steady_clock::now() + 1s);
    if (!done) return std::nullopt;
    if (*done) return draw.token();
  }
}

TEST(TokenDraw, IsTheSameAsFromARowInWhichTheForbiddenAreImpossible) {
  for (const ports::SamplingOptions& options :
       {ports::SamplingOptions{.temperature = 0}, ports::SamplingOptions{.seed = 7},
        ports::SamplingOptions{.top_k = 0, .seed = 7}, ports::SamplingOptions{.top_p = 0.5F, .top_k = 3, .seed = 7},
        ports::SamplingOptions{.min_p = 0.2F, .seed = 7}}) {
    for (std::uint32_t seed = 1; seed <= 30; ++seed) {
      const std::vector<float> logits = Logits(3000, seed);
      std::set<std::int32_t> some;
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(seed % 5) + 1; ++i) some.insert((i * 977 + 13) % 3000);
      Sampler reference(options);
      std::int32_t expected = reference.Pick(logits);
      if (!some.contains(expected)) {
        std::vector<float> masked(logits.size(), -INFINITY);
        for (const std::int32_t token : some) {
          masked[static_cast<std::size_t>(token)] = logits[static_cast<std::size_t>(token)];
        }
        expected = reference.Pick(masked);
      }
      Sampler sampler(options);
      FakeRule rule(some);
      TokenDraw draw(sampler, &rule, logits);
      EXPECT_EQ(DrawAll(draw), expected) << seed;
      EXPECT_EQ(rule.accepted, std::vector{expected});
    }
  }
}

TEST(TokenDraw, ChecksOneTokenWhenThatIsAllowedAndFewWhenALikelyOneIs) {
  std::vector<float> logits(100'000, 0.0F);
  for (int i = 0; i < 100; ++i) logits[static_cast<std::size_t>(i)] = 100.0F - static_cast<float>(i);
  Sampler sampler({.temperature = 0});
  FakeRule best({0});
  TokenDraw one(sampler, &best, logits);
  EXPECT_EQ(DrawAll(one), 0);
  EXPECT_EQ(best.checked, 1U);
  FakeRule tenth({9, 50'000});
  TokenDraw few(sampler, &tenth, logits);
  EXPECT_EQ(DrawAll(few), 9);
  EXPECT_LE(tenth.checked, 64U + 1);
}

TEST(TokenDraw, CanBePutOffBetweenTwoPiecesAndTheRowBeOverwritten) {
  std::vector<float> logits = Logits(2000);
  const std::vector<float> as_they_were = logits;
  const auto worst = static_cast<std::int32_t>(std::ranges::min_element(logits) - logits.begin());
  Sampler sampler({.temperature = 0});
  FakeRule rule({worst});
  rule.per_token = 20us;
  TokenDraw draw(sampler, &rule, logits);
  int calls = 0;
  while (true) {
    const std::size_t before = rule.checked;
    const auto done = draw.Advance(steady_clock::now());  // no time at all: one piece
    ASSERT_TRUE(done);
    ++calls;
    if (*done) break;
    EXPECT_LE(rule.checked - before, 256U) << "a piece is some milliseconds";
    if (calls == 1) {
      draw.Keep();
      std::ranges::fill(logits, std::numeric_limits<float>::quiet_NaN());
    }
  }
  EXPECT_GT(calls, 2000 / 256);
  EXPECT_EQ(draw.token(), worst);
}

TEST(TokenDraw, NothingAllowedIsNoToken) {
  const std::vector<float> logits = Logits(500);
  Sampler sampler({});
  FakeRule rule({});
  TokenDraw draw(sampler, &rule, logits);
  const auto done = draw.Advance(steady_clock::now() + 1h);
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
  EXPECT_EQ(draw.token(), std::nullopt);
  EXPECT_EQ(rule.checked, 501U);
  EXPECT_TRUE(rule.accepted.empty());
}

TEST(TokenDraw, PiecesThatAreTooCostlyAreMadeSmallerAndOtherErrorsEndIt) {
  const std::vector<float> logits = Logits(500);
  Sampler sampler({.temperature = 0});
  FakeRule rule({1});
  rule.at_once_max = 3;
  TokenDraw draw(sampler, &rule, logits);
  EXPECT_EQ(DrawAll(draw), 1);
  FakeRule failing({1});
  failing.fails = true;
  TokenDraw failed(sampler, &failing, logits);
  EXPECT_EQ(failed.Advance(steady_clock::now() + 1h).error().reason, "CONSTRAINT_TOO_COSTLY");
}

TEST(TokenDraw, TheEndIsNotAccepted) {
  const std::vector<float> logits = {0, 1, 2, 3};
  Sampler sampler({.temperature = 0});
  FakeRule rule({2});
  rule.end = 2;
  TokenDraw draw(sampler, &rule, logits);
  EXPECT_EQ(DrawAll(draw), 2);
  EXPECT_TRUE(rule.accepted.empty());
}

TEST(TokenDraw, WithoutARuleItIsOnePiece) {
  const std::vector<float> logits = {0, 1, 9, 3};
  Sampler sampler({.temperature = 0});
  TokenDraw draw(sampler, nullptr, logits);
  const auto done = draw.Advance(steady_clock::now());
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
  EXPECT_EQ(draw.token(), 2);
}

TEST(DrawBudget, IsAQuarterOfTheStepsSharedBetweenThoseThatDraw) {
  DrawBudget budget;
  EXPECT_EQ(budget.Of("a"), 0);
  budget.Earn(0.040, {"a"});
  EXPECT_DOUBLE_EQ(budget.Of("a"), 0.010);
  budget.Earn(0.040, {"a"});
  EXPECT_DOUBLE_EQ(budget.Of("a"), 0.010) << "nothing is saved up";
  budget.Earn(0.040, {"a", "b"});
  EXPECT_DOUBLE_EQ(budget.Of("a"), 0.005);
  EXPECT_DOUBLE_EQ(budget.Of("b"), 0.005);
}

TEST(DrawBudget, WhatIsOverdrawnIsWaitedForByTheOneThatDid) {
  DrawBudget budget;
  budget.Earn(0.040, {"costly", "cheap"});
  budget.Spend("costly", 0.027);
  budget.Spend("cheap", 0.001);
  int steps = 0;
  for (; budget.Of("costly") <= 0 && steps < 100; ++steps) {
    budget.Earn(0.040, {"costly", "cheap"});
    EXPECT_GT(budget.Of("cheap"), 0);
  }
  EXPECT_EQ(steps, 5);  // 22 ms, at 5 ms a step
  // Leaving and coming back does not help.
  budget.Spend("costly", 0.055);
  budget.Earn(0.040, {"cheap"});
  budget.Earn(0.040, {"costly", "cheap"});
  EXPECT_LT(budget.Of("costly"), 0);
}

TEST(DrawBudget, HoweverCostlyDrawsAreStepsKeepFourFifthsOfTheTime) {
  DrawBudget budget;
  double drawing = 0;
  double stepping = 0;
  for (int step = 0; step < 1000; ++step) {
    stepping += 0.002;
    budget.Earn(0.002, {"costly"});
    if (budget.Of("costly") <= 0) continue;
    drawing += 0.010;  // the least that it can do
    budget.Spend("costly", 0.010);
  }
  EXPECT_LT(drawing / stepping, 0.27);
  EXPECT_GT(drawing / stepping, 0.23);
}

}  // namespace
}  // namespace allod::inference::engine::text::token_draw_test
