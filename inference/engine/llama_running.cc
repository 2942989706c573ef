#include "inference/engine/llama_running.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace allod::inference::engine {
namespace {

// log(sum(exp(logits)))
double LogSumExp(std::span<const float> logits) {
  const float best = *std::ranges::max_element(logits);
  if (!std::isfinite(best)) return best;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - best));
  return best + std::log(sum);
}

}  // namespace

RunningGeneration::RunningGeneration(PendingGeneration pending, const text::Vocabulary& vocabulary, TokenTotals& totals,
                                     std::span<const std::int32_t> slots)
    : request(std::move(pending)),
      admitted_at(std::chrono::steady_clock::now()),
      vocabulary_(vocabulary),
      totals_(totals) {
  choices.reserve(slots.size());
  ports::SamplingOptions sampling = request.sampling;
  for (const std::int32_t slot : slots) {
    const auto index = static_cast<std::int32_t>(choices.size());
    if (request.sampling.seed) sampling.seed = *request.sampling.seed + static_cast<std::uint32_t>(index);
    Choice& choice = choices.emplace_back(index, slot, sampling, request.stop);
    if (!request.constraints.empty()) choice.constraint = std::move(request.constraints[choices.size() - 1]);
  }
}

bool RunningGeneration::is_done() const { return live_choices() == 0; }

std::int32_t RunningGeneration::live_choices() const {
  return static_cast<std::int32_t>(std::ranges::count(choices, false, &Choice::is_done));
}

std::int32_t RunningGeneration::decodable_choices() const {
  return static_cast<std::int32_t>(std::ranges::count(choices, true, &Choice::can_decode));
}

bool RunningGeneration::is_drawing() const {
  return std::ranges::any_of(choices, [](const Choice& choice) { return choice.draw.has_value(); });
}

std::string RunningGeneration::PieceOf(std::int32_t token, bool is_first) const {
  std::string piece;
  const bool spoken = std::ranges::find(request.spoken_tokens, token) != request.spoken_tokens.end();
  vocabulary_.AppendPiece(token, is_first && vocabulary_.BeginsWithMadeUpSpace(request.prompt.back()), piece, spoken);
  return piece;
}

ports::TokenLogprobs RunningGeneration::LogprobsOf(std::int32_t token, std::span<const float> raw) const {
  const double total = LogSumExp(raw);
  const auto one = [&](std::int32_t which) {
    return ports::TokenLogprob{PieceOf(which, false), static_cast<float>(raw[static_cast<std::size_t>(which)] - total)};
  };
  ports::TokenLogprobs out{one(token), {}};
  const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(request.top_logprobs, std::ssize(raw)));
  if (wanted == 0) return out;
  std::vector<std::int32_t> best(wanted);
  std::vector<std::int32_t> all(raw.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
  std::ranges::partial_sort_copy(all, best, [&](std::int32_t a, std::int32_t b) {
    const float left = raw[static_cast<std::size_t>(a)];
    const float right = raw[static_cast<std::size_t>(b)];
    return left > right || (left == right && a < b);
  });
  for (const std::int32_t which : best) out.top.push_back(one(which));
  return out;
}

void RunningGeneration::Advance(Choice& choice, std::span<float> logits) {
  if (request.logprobs) choice.raw.assign(logits.begin(), logits.end());
  choice.sampler.Prepare(logits);
  // What goes through the whole vocabulary costs milliseconds with a large one.
  if (choice.constraint || request.logprobs || choice.sampler.candidates_max() == 0) {
    choice.draw.emplace(choice.sampler, choice.constraint.get(), logits);
  } else {
    TakeToken(choice, choice.sampler.Pick(logits));
  }
}

Status RunningGeneration::GoOnDrawing(Choice& choice, SteadyTime until) {
  ALLOD_TRY(const bool done, choice.draw->Advance(until));
  if (!done) return {};
  const std::optional<std::int32_t> drawn = choice.draw->token();
  choice.draw.reset();
  TakeToken(choice, drawn);
  return {};
}

void RunningGeneration::TakeToken(Choice& choice, std::optional<std::int32_t> drawn) {
  const bool is_first = choice.completion == 0;
  if (drawn) choice.sampler.Accept(*drawn);
  ++sampled;
  totals_.sampled.fetch_add(1, std::memory_order_relaxed);
  request.usage->CountSampled();
  text::TextDelta delta;
  if (!drawn || vocabulary_.EndsGeneration(*drawn)) {
    EndChoice(choice, ports::FinishReason::kStop, std::move(delta));
    return;
  }
  ++choice.completion;
  choice.next_token = *drawn;
  const std::string piece = PieceOf(*drawn, is_first);
  if (request.logprobs && !piece.empty()) choice.logprobs.push_back(LogprobsOf(*drawn, choice.raw));
  if (choice.assembler.Add(piece, delta)) {
    EndChoice(choice, ports::FinishReason::kStop, std::move(delta));
  } else if (choice.completion >= request.max_completion_tokens) {
    EndChoice(choice, ports::FinishReason::kLength, std::move(delta));
  } else {
    Deliver(choice, std::move(delta));
  }
}

void RunningGeneration::Deliver(Choice& choice, text::TextDelta text) {
  if (text.text.empty()) return;
  delivered += text.token_count;
  totals_.completion.fetch_add(text.token_count, std::memory_order_relaxed);
  ports::Delta delta;
  delta.choice = choice.index;
  delta.text = std::move(text.text);
  delta.token_count = text.token_count;
  for (std::int32_t i = 0; i < text.token_count && !choice.logprobs.empty(); ++i) {
    delta.logprobs.push_back(std::move(choice.logprobs.front()));
    choice.logprobs.pop_front();
  }
  request.stream->Push(std::move(delta));
}

void RunningGeneration::EndChoice(Choice& choice, ports::FinishReason reason, text::TextDelta last) {
  choice.assembler.Finish(last);
  Deliver(choice, std::move(last));
  choice.is_done = true;
  if (choice.index == 0) first_reason_ = reason;
  request.stream->FinishChoice({choice.index, reason});
}

void RunningGeneration::Finish() {
  ports::Finished finished;
  finished.reason = first_reason_;
  finished.prompt_tokens = static_cast<std::int32_t>(request.prompt.size());
  finished.cached_prompt_tokens = cached;
  finished.completion_tokens = delivered;
  finished.sampled_tokens = sampled;
  finished.prefill_seconds = SecondsBetween(admitted_at, prefilled_at);
  finished.decode_seconds = SecondsBetween(prefilled_at, std::chrono::steady_clock::now());
  request.usage->Finish(ports::UsageOutcome::kCompleted);
  request.stream->Finish(finished);
}

void RunningGeneration::Fail(const Error& error) {
  request.usage->Finish(ports::UsageOutcome::kFailed);
  request.stream->Fail(error);
}

}  // namespace allod::inference::engine
