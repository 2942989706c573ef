#include "gateway/openai/answer_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace allod::gateway::openai {
namespace {

using inference::v1::FinishReason;
using inference::v1::GenerateResponse;

// The longest text of a token that a catalogue takes (inference/gguf/vocabulary.h), each byte of which may have become
// a replacement character of three.
constexpr std::int64_t kTokenBytesMax = 1024;
constexpr std::int64_t kTextBytesPerTokenMax = 3 * kTokenBytesMax;
// Of tool calls beyond their tokens: ids, and arguments that come before what was counted with them.
constexpr std::int64_t kToolBytesMax = 64 << 10;
constexpr std::int64_t kToolCallsBeyondTokens = 64;
constexpr int kEmptyDeltasMax = 64;
constexpr int kValuesPerEmbeddingMax = 1 << 16;

std::int64_t BytesOf(const GenerateResponse::Delta& delta) {
  auto bytes = static_cast<std::int64_t>(delta.text().size());
  for (const auto& call : delta.tool_calls()) {
    bytes += static_cast<std::int64_t>(call.id().size() + call.name().size() + call.arguments().size());
  }
  return bytes;
}

bool IsLogprob(const inference::v1::TokenLogprob& one) {
  return !std::isnan(one.logprob()) && std::ssize(one.token()) <= kTokenBytesMax;
}

}  // namespace

AnswerCheck::AnswerCheck(const inference::v1::GenerateRequest& request, std::int64_t context_tokens)
    : context_tokens_(context_tokens),
      tokens_max_(request.max_completion_tokens()),
      has_tools_(request.chat().tools_size() > 0),
      logprobs_(request.logprobs()),
      top_logprobs_(request.top_logprobs()),
      choices_(static_cast<std::size_t>(std::max(request.choice_count(), 1))) {}

std::string AnswerCheck::Started(const GenerateResponse::Started& started) {
  if (std::exchange(is_started_, true)) return "the replica accepted the request twice";
  if (started.prompt_tokens() < 1 || started.prompt_tokens() > context_tokens_) {
    return fmt::format("the replica counted {} tokens of prompt; the context has {}", started.prompt_tokens(),
                       context_tokens_);
  }
  if (started.cached_prompt_tokens() < 0 || started.cached_prompt_tokens() > started.prompt_tokens()) {
    return fmt::format("the replica counted {} cached tokens of a prompt of {}", started.cached_prompt_tokens(),
                       started.prompt_tokens());
  }
  return "";
}

std::string AnswerCheck::Delta(const GenerateResponse::Delta& delta) {
  if (!is_started_) return "the replica answered before it accepted the request";
  if (delta.choice() < 0 || delta.choice() >= std::ssize(choices_)) return "the replica sent an unknown choice";
  Choice& choice = choices_[static_cast<std::size_t>(delta.choice())];
  if (choice.is_finished) return "the replica went on with a choice that it had finished";
  if (delta.token_count() < 0) return fmt::format("the replica counted {} tokens", delta.token_count());
  choice.tokens += delta.token_count();
  if (choice.tokens > tokens_max_) {
    return fmt::format("the replica counted {} tokens of an answer that may have {}", choice.tokens, tokens_max_);
  }
  const std::int64_t bytes = BytesOf(delta);
  choice.bytes += bytes;
  if (choice.bytes > choice.tokens * kTextBytesPerTokenMax + (has_tools_ ? kToolBytesMax : 0)) {
    return fmt::format("the replica counted {} tokens for {} bytes of text", choice.tokens, choice.bytes);
  }
  // A counted token has a byte at least; of tool calls the words around them are counted and not delivered.
  if (!has_tools_ && choice.tokens > choice.bytes) {
    return fmt::format("the replica counted {} tokens for {} bytes of text", choice.tokens, choice.bytes);
  }
  if (delta.tool_calls_size() > 0 && !has_tools_) return "the replica called a tool although there is none";
  for (const auto& call : delta.tool_calls()) {
    if (call.index() < 0 || call.index() > choice.tool_calls) {
      return fmt::format("the replica sent a tool call with the number {} after {}", call.index(), choice.tool_calls);
    }
    if (call.index() == choice.tool_calls) ++choice.tool_calls;
  }
  // No fixed number: how many there are is for the caller to say, and must not end its answer as our fault.
  if (choice.tool_calls > choice.tokens + kToolCallsBeyondTokens) {
    return fmt::format("the replica counted {} tokens for {} tool calls", choice.tokens, choice.tool_calls);
  }
  if (bytes == 0 && delta.token_count() == 0 && delta.logprobs_size() == 0 && ++empty_deltas_ > kEmptyDeltasMax) {
    return "the replica sends messages without anything in them";
  }
  return Logprobs(delta, choice);
}

std::string AnswerCheck::Logprobs(const GenerateResponse::Delta& delta, Choice& choice) const {
  choice.logprobs += delta.logprobs_size();
  if (choice.logprobs > (logprobs_ ? choice.tokens : 0)) {
    return fmt::format("the replica sent {} log probabilities for {} tokens", choice.logprobs, choice.tokens);
  }
  for (const auto& one : delta.logprobs()) {
    if (one.top_size() > top_logprobs_) return "the replica sent more log probabilities than were asked for";
    if (!IsLogprob(one.token()) || !std::ranges::all_of(one.top(), IsLogprob)) {
      return "the replica sent a log probability that is none";
    }
  }
  return "";
}

std::string AnswerCheck::ChoiceFinished(const GenerateResponse::ChoiceFinished& finished) {
  if (!is_started_) return "the replica answered before it accepted the request";
  if (finished.choice() < 0 || finished.choice() >= std::ssize(choices_)) {
    return "the replica finished an unknown choice";
  }
  if (std::exchange(choices_[static_cast<std::size_t>(finished.choice())].is_finished, true)) {
    return "the replica finished a choice twice";
  }
  return Reason(finished.reason());
}

std::string AnswerCheck::Finished(const GenerateResponse::Finished& finished) {
  if (!is_started_) return "the replica answered before it accepted the request";
  return Reason(finished.reason());
}

std::string AnswerCheck::Reason(FinishReason reason) const {
  switch (reason) {
    case inference::v1::FINISH_REASON_STOP:
    case inference::v1::FINISH_REASON_LENGTH:
      return "";
    case inference::v1::FINISH_REASON_TOOL_CALLS:
      return has_tools_ ? "" : "the replica called a tool although there is none";
    default:
      return fmt::format("the replica ended for the reason {}, which is none", static_cast<int>(reason));
  }
}

std::string CheckEmbeddings(const inference::v1::EmbedRequest& request, std::int64_t context_tokens,
                            const inference::v1::EmbedResponse& response) {
  if (response.embeddings_size() != request.inputs_size()) {
    return "the replica answered with another number of vectors";
  }
  const std::int64_t tokens_max = context_tokens * request.inputs_size();
  if (response.prompt_tokens() < request.inputs_size() || response.prompt_tokens() > tokens_max) {
    return fmt::format("the replica counted {} tokens of {} inputs, which have at most {}", response.prompt_tokens(),
                       request.inputs_size(), tokens_max);
  }
  const int size = response.embeddings(0).values_size();
  for (const auto& embedding : response.embeddings()) {
    if (embedding.values_size() != size || size == 0 || size > kValuesPerEmbeddingMax) {
      return "the replica answered with vectors of several sizes, or of none";
    }
    if (!std::ranges::all_of(embedding.values(), [](float value) { return std::isfinite(value); })) {
      return "the replica answered with a vector that has no length";
    }
  }
  return "";
}

}  // namespace allod::gateway::openai
