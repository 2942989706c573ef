#include "inference/engine/chat/llama_tool_calls.h"

#include <fmt/format.h>

#include <exception>
#include <iterator>
#include <optional>
#include <random>
#include <utility>

#include "inference/engine/chat/llama_tool_calls_format.h"
#include "inference/engine/chat/plain_tool_calls.h"
#include "inference/engine/text/allocation_budget.h"

namespace allod::inference::engine::chat {
namespace {

constexpr text::AllocationBudget::Limits kParseLimits{.bytes_max = 32 << 20,
                                                      .allocation_bytes_max = 8 << 20,
                                                      .processor_time_max = std::chrono::milliseconds(1000),
                                                      .stack_bytes_max = 1 << 20};

// As OpenAI's look; unique among the calls of a conversation.
std::string NewCallId() {
  std::random_device random;
  return fmt::format("call_{:08x}{:08x}{:08x}", random(), random(), random());
}

common_chat_msg ParsePlain(const std::string& text) {
  common_chat_msg message;
  PlainCall call = ReadPlainCall(text);
  if (!call.may_be_one) message.content = text;
  if (call.name) message.tool_calls.push_back({*std::move(call.name), std::move(call.arguments), ""});
  return message;
}

// Whether `now` continues `before` without changing it.
bool Extends(const common_chat_msg& before, const common_chat_msg& now) {
  if (!now.content.starts_with(before.content) || now.tool_calls.size() < before.tool_calls.size()) return false;
  for (std::size_t i = 0; i < before.tool_calls.size(); ++i) {
    if (now.tool_calls[i].name != before.tool_calls[i].name) return false;
    if (!now.tool_calls[i].arguments.starts_with(before.tool_calls[i].arguments)) return false;
  }
  return true;
}

}  // namespace

ToolCallFormat::ToolCallFormat(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
ToolCallFormat::~ToolCallFormat() = default;

struct ToolCallReader::Answer {
  std::string text;            // everything the model wrote
  common_chat_msg message;     // what of it was told
  std::int32_t uncounted = 0;  // tokens nothing of which was told
  std::vector<ports::TokenLogprobs> logprobs;
  bool gave_up = false;  // it does not follow the notation
};

ToolCallReader::ToolCallReader(std::shared_ptr<const ToolCallFormat> format) : format_(std::move(format)) {}
ToolCallReader::~ToolCallReader() = default;

ports::Delta ToolCallReader::Parse(Answer& answer, bool is_whole) {
  ports::Delta out;
  std::optional<common_chat_msg> parsed;
  if (!answer.gave_up) {
    try {
      const text::AllocationBudget budget(kParseLimits);
      const ToolCallFormat::Impl& format = format_->impl();
      parsed = format.is_plain ? ParsePlain(answer.text) : common_chat_parse(answer.text, !is_whole, format.parser);
    } catch (const text::BudgetExceeded&) {
      answer.gave_up = true;
    } catch (const std::exception&) {
      // Incomplete so far; if it is still so at the end, it is text.
      answer.gave_up = is_whole;
    }
  }
  if (answer.gave_up && answer.message.tool_calls.empty()) {
    parsed.emplace();
    parsed->content = answer.text;
  }
  if (!parsed || !Extends(answer.message, *parsed)) return out;
  // A name that may still grow is not told.
  if (!is_whole && !parsed->tool_calls.empty() && parsed->tool_calls.back().name.empty()) parsed->tool_calls.pop_back();
  if (parsed->tool_calls.size() < answer.message.tool_calls.size()) return out;
  out.text = parsed->content.substr(answer.message.content.size());
  for (std::size_t i = 0; i < parsed->tool_calls.size(); ++i) {
    common_chat_tool_call& call = parsed->tool_calls[i];
    const bool is_new = i >= answer.message.tool_calls.size();
    const std::size_t told = is_new ? 0 : answer.message.tool_calls[i].arguments.size();
    call.id = is_new ? NewCallId() : answer.message.tool_calls[i].id;
    if (!is_new && told == call.arguments.size()) continue;
    ports::ToolCallPiece piece;
    piece.index = static_cast<std::int32_t>(i);
    if (is_new) {
      piece.id = call.id;
      piece.name = call.name;
    }
    piece.arguments = call.arguments.substr(told);
    out.tool_calls.push_back(std::move(piece));
  }
  answer.message = *std::move(parsed);
  return out;
}

std::vector<ports::Event> ToolCallReader::Read(ports::Event event) {
  std::vector<ports::Event> events;
  const auto tell = [&](Answer& answer, std::int32_t choice, ports::Delta delta, bool is_end) {
    const bool says_something = !delta.text.empty() || !delta.tool_calls.empty();
    if (!says_something && !(is_end && answer.uncounted > 0)) return;
    delta.choice = choice;
    delta.token_count = std::exchange(answer.uncounted, 0);
    delta.logprobs = std::exchange(answer.logprobs, {});
    events.emplace_back(std::move(delta));
  };
  if (auto* delta = std::get_if<ports::Delta>(&event)) {
    Answer& answer = answers_[delta->choice];
    answer.text += delta->text;
    answer.uncounted += delta->token_count;
    std::ranges::move(delta->logprobs, std::back_inserter(answer.logprobs));
    tell(answer, delta->choice, Parse(answer, false), false);
    return events;
  }
  if (auto* ended = std::get_if<ports::ChoiceFinished>(&event)) {
    Answer& answer = answers_[ended->choice];
    // An answer that was cut off is no whole one.
    tell(answer, ended->choice, Parse(answer, ended->reason == ports::FinishReason::kStop), true);
    const bool calls = !answer.message.tool_calls.empty();
    if (calls && ended->reason == ports::FinishReason::kStop) ended->reason = ports::FinishReason::kToolCalls;
  }
  if (auto* finished = std::get_if<ports::Finished>(&event)) {
    const auto first = answers_.find(0);
    const bool calls = first != answers_.end() && !first->second.message.tool_calls.empty();
    if (calls && finished->reason == ports::FinishReason::kStop) finished->reason = ports::FinishReason::kToolCalls;
  }
  events.push_back(std::move(event));
  return events;
}

}  // namespace allod::inference::engine::chat
