// Whether what a worker says of a request can be: a worker may have been taken over, and what it counts is billed.
//
// Pure: what was asked and held for goes in, then each message in turn. Each method returns what is wrong, empty when
// nothing is; after that the call is to be ended as a fault. One for each call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "allod/inference/v1/worker.pb.h"

namespace allod::gateway::openai {

class AnswerCheck {
 public:
  // `context_tokens` is the longest prompt that money is held for; the request's own limit, which is set, that of each
  // answer.
  AnswerCheck(const inference::v1::GenerateRequest& request, std::int64_t context_tokens);

  std::string Started(const inference::v1::GenerateResponse::Started& started);
  std::string Delta(const inference::v1::GenerateResponse::Delta& delta);
  std::string ChoiceFinished(const inference::v1::GenerateResponse::ChoiceFinished& finished);
  std::string Finished(const inference::v1::GenerateResponse::Finished& finished);

 private:
  struct Choice {
    std::int64_t tokens = 0;
    std::int64_t bytes = 0;
    std::int64_t logprobs = 0;
    std::int64_t tool_calls = 0;
    bool is_finished = false;
  };
  std::string Reason(inference::v1::FinishReason reason) const;
  std::string Logprobs(const inference::v1::GenerateResponse::Delta& delta, Choice& choice) const;

  const std::int64_t context_tokens_;
  const std::int64_t tokens_max_;  // of each choice
  const bool has_tools_;
  const bool logprobs_;
  const int top_logprobs_;
  std::vector<Choice> choices_;
  bool is_started_ = false;
  int empty_deltas_ = 0;
};

// What is wrong with an embedding's answer; empty when nothing is.
std::string CheckEmbeddings(const inference::v1::EmbedRequest& request, std::int64_t context_tokens,
                            const inference::v1::EmbedResponse& response);

}  // namespace allod::gateway::openai
