// What a worker may say of a request, and what it may not.

#include "gateway/openai/answer_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace allod::gateway::openai::answer_check_test {
namespace {

using inference::v1::GenerateRequest;
using inference::v1::GenerateResponse;
namespace v1 = inference::v1;

constexpr std::int64_t kContext = 100;

GenerateRequest Request(int max_tokens = 10, int choices = 2) {
  GenerateRequest request;
  request.set_text("a prompt");
  request.set_max_completion_tokens(max_tokens);
  request.set_choice_count(choices);
  return request;
}
GenerateResponse::Started StartedWith(int prompt, int cached = 0) {
  GenerateResponse::Started started;
  started.set_prompt_tokens(prompt);
  started.set_cached_prompt_tokens(cached);
  return started;
}
GenerateResponse::Delta DeltaOf(const std::string& text, int tokens, int choice = 0) {
  GenerateResponse::Delta delta;
  delta.set_text(text);
  delta.set_token_count(tokens);
  delta.set_choice(choice);
  return delta;
}
GenerateResponse::ChoiceFinished Ended(int choice, int reason) {
  GenerateResponse::ChoiceFinished finished;
  finished.set_choice(choice);
  finished.set_reason(static_cast<v1::FinishReason>(reason));
  return finished;
}

class AnswerCheckTest : public testing::Test {
 protected:
  explicit AnswerCheckTest(const GenerateRequest& request = Request()) : check(request, kContext) {}
  void Start() { ASSERT_EQ(check.Started(StartedWith(7, 3)), ""); }
  AnswerCheck check;
};

TEST_F(AnswerCheckTest, AnHonestAnswerIsFine) {
  Start();
  EXPECT_EQ(check.Delta(DeltaOf("Habari", 1)), "");
  EXPECT_EQ(check.Delta(DeltaOf("\xF0\x9F\x8C\x8D", 4, 1)), "");  // a character of four tokens
  EXPECT_EQ(check.Delta(DeltaOf(" ya", 0)), "");                  // held back before, counted then
  EXPECT_EQ(check.Delta(DeltaOf(" asubuhi", 9)), "");             // to the limit
  EXPECT_EQ(check.ChoiceFinished(Ended(0, v1::FINISH_REASON_LENGTH)), "");
  EXPECT_EQ(check.ChoiceFinished(Ended(1, v1::FINISH_REASON_STOP)), "");
  GenerateResponse::Finished finished;
  finished.set_reason(v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(check.Finished(finished), "");
}

TEST(AnswerCheckStart, ThePromptIsOneThatCanBe) {
  for (const auto& [prompt, cached, fine] : std::initializer_list<std::tuple<int, int, bool>>{{1, 0, true},
                                                                                              {100, 100, true},
                                                                                              {0, 0, false},
                                                                                              {-5, 0, false},
                                                                                              {101, 0, false},
                                                                                              {INT32_MAX, 0, false},
                                                                                              {7, 8, false},
                                                                                              {7, -1, false}}) {
    AnswerCheck check(Request(), kContext);
    EXPECT_EQ(check.Started(StartedWith(prompt, cached)).empty(), fine) << prompt << " " << cached;
  }
}

TEST_F(AnswerCheckTest, ARequestIsAcceptedOnceAndFirst) {
  EXPECT_NE(check.Delta(DeltaOf("x", 1)), "");
  EXPECT_NE(check.ChoiceFinished(Ended(0, v1::FINISH_REASON_STOP)), "");
  EXPECT_NE(check.Finished({}), "");
  Start();
  EXPECT_NE(check.Started(StartedWith(7)), "");
}

TEST_F(AnswerCheckTest, TokensAreThoseOfTheText) {
  const std::vector<GenerateResponse::Delta> lies = {
      DeltaOf("x", -1),                    // less than nothing
      DeltaOf(std::string(11, 'x'), 11),   // more than was asked for
      DeltaOf("x", INT32_MAX),             // huge
      DeltaOf("x", 2),                     // more than there is text for
      DeltaOf("", 1),                      // none at all
      DeltaOf("x", 0),                     // text that nobody pays
      DeltaOf(std::string(4000, 'x'), 1),  // nearly so
      DeltaOf("x", 1, 2),                  // of nobody's answer
      DeltaOf("x", 1, -1),
  };
  for (const auto& lie : lies) {
    AnswerCheck fresh(Request(), kContext);
    ASSERT_EQ(fresh.Started(StartedWith(7)), "");
    EXPECT_NE(fresh.Delta(lie), "") << lie.ShortDebugString().substr(0, 80);
  }
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(check.Delta(DeltaOf("x", 1)), "");
  EXPECT_NE(check.Delta(DeltaOf("x", 1)), "");  // one by one
}

TEST_F(AnswerCheckTest, AChoiceEndsOnceForAReason) {
  Start();
  EXPECT_NE(check.ChoiceFinished(Ended(2, v1::FINISH_REASON_STOP)), "");
  EXPECT_EQ(check.ChoiceFinished(Ended(0, v1::FINISH_REASON_STOP)), "");
  EXPECT_NE(check.ChoiceFinished(Ended(0, v1::FINISH_REASON_STOP)), "");
  EXPECT_NE(check.Delta(DeltaOf("x", 1, 0)), "");
  EXPECT_EQ(check.Delta(DeltaOf("x", 1, 1)), "");
  for (const int reason : {0, 3, 4, 4711, -1}) {
    AnswerCheck fresh(Request(), kContext);
    ASSERT_EQ(fresh.Started(StartedWith(7)), "");
    EXPECT_NE(fresh.ChoiceFinished(Ended(0, reason)), "") << reason;
    GenerateResponse::Finished finished;
    finished.set_reason(static_cast<v1::FinishReason>(reason));
    EXPECT_NE(fresh.Finished(finished), "") << reason;
  }
}

TEST_F(AnswerCheckTest, EmptyMessagesDoNotGoOnForEver) {
  Start();
  int taken = 0;
  while (taken < 10'000 && check.Delta(DeltaOf("", 0)).empty()) ++taken;
  EXPECT_LT(taken, 1000);
}

TEST(AnswerCheckTools, ToolCallsComeOnlyWhereThereAreTools) {
  GenerateResponse::Delta call = DeltaOf("", 3);
  call.add_tool_calls()->set_name("weather");
  AnswerCheck without(Request(), kContext);
  ASSERT_EQ(without.Started(StartedWith(7)), "");
  EXPECT_NE(without.Delta(call), "");
  GenerateRequest request = Request();
  request.mutable_chat()->add_tools()->set_name("weather");
  AnswerCheck with(request, kContext);
  ASSERT_EQ(with.Started(StartedWith(7)), "");
  EXPECT_EQ(with.Delta(call), "");
  call.mutable_tool_calls(0)->set_index(-1);
  EXPECT_NE(with.Delta(call), "");
  EXPECT_EQ(with.ChoiceFinished(Ended(0, v1::FINISH_REASON_TOOL_CALLS)), "");
}

TEST(AnswerCheckTools, AsManyCallsAsTheCallerWantsAreNoLie) {
  GenerateRequest request = Request();
  request.set_max_completion_tokens(20'000);
  request.mutable_chat()->add_tools()->set_name("weather");
  AnswerCheck check(request, kContext);
  ASSERT_EQ(check.Started(StartedWith(7)), "");
  GenerateResponse::Delta call = DeltaOf("", 5);
  call.add_tool_calls()->set_name("weather");
  for (int i = 0; i < 2000; ++i) {
    call.mutable_tool_calls(0)->set_index(i);
    ASSERT_EQ(check.Delta(call), "") << i;
  }
  call.mutable_tool_calls(0)->set_index(2001);
  EXPECT_NE(check.Delta(call), "") << "one was left out";
}

TEST(AnswerCheckTools, ACallThatNoTokenStandsForIsALie) {
  GenerateRequest request = Request();
  request.mutable_chat()->add_tools()->set_name("weather");
  AnswerCheck check(request, kContext);
  ASSERT_EQ(check.Started(StartedWith(7)), "");
  GenerateResponse::Delta calls = DeltaOf("", 1);
  for (int i = 0; i < 200; ++i) calls.add_tool_calls()->set_index(i);
  EXPECT_NE(check.Delta(calls), "");
}

TEST(AnswerCheckLogprobs, ThereAreAsManyAsWereAskedFor) {
  const auto check = [](bool asked, int top, const std::function<void(GenerateResponse::Delta&)>& edit) {
    GenerateRequest request = Request();
    request.set_logprobs(asked);
    request.set_top_logprobs(top);
    AnswerCheck out(request, kContext);
    EXPECT_EQ(out.Started(StartedWith(7)), "");
    GenerateResponse::Delta delta = DeltaOf("x", 1);
    edit(delta);
    return out.Delta(delta);
  };
  const auto one = [](GenerateResponse::Delta& d) { d.add_logprobs()->mutable_token()->set_logprob(-1); };
  EXPECT_EQ(check(true, 0, one), "");
  EXPECT_NE(check(false, 0, one), "");
  EXPECT_NE(check(true, 0, [&](auto& d) { one(d), one(d); }), "");
  EXPECT_NE(check(true, 0, [&](auto& d) { one(d), d.mutable_logprobs(0)->add_top(); }), "");
  EXPECT_EQ(check(true, 1, [&](auto& d) { one(d), d.mutable_logprobs(0)->add_top(); }), "");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(check(true, 0, [&](auto& d) { d.add_logprobs()->mutable_token()->set_logprob(nan); }), "");
}

TEST(CheckEmbeddings, VectorsAndTokensAreThoseOfTheInputs) {
  v1::EmbedRequest request;
  request.add_inputs("a");
  request.add_inputs("b");
  v1::EmbedResponse honest;
  honest.set_prompt_tokens(12);
  for (int i = 0; i < 2; ++i) honest.add_embeddings()->add_values(1);
  EXPECT_EQ(CheckEmbeddings(request, kContext, honest), "");
  const auto spoilt = [&](const std::function<void(v1::EmbedResponse&)>& spoil) {
    v1::EmbedResponse response = honest;
    spoil(response);
    return CheckEmbeddings(request, kContext, response);
  };
  for (const int tokens : {0, 1, -1, 201, INT32_MAX}) {
    EXPECT_NE(spoilt([&](auto& r) { r.set_prompt_tokens(tokens); }), "") << tokens;
  }
  EXPECT_NE(spoilt([](auto& r) { r.add_embeddings()->add_values(1); }), "");
  EXPECT_NE(spoilt([](auto& r) { r.mutable_embeddings(1)->add_values(1); }), "");
  EXPECT_NE(spoilt([](auto& r) { r.mutable_embeddings(1)->clear_values(); }), "");
  EXPECT_NE(spoilt([](auto& r) { r.mutable_embeddings(1)->set_values(0, std::numeric_limits<float>::infinity()); }),
            "");
}

}  // namespace
}  // namespace allod::gateway::openai::answer_check_test
