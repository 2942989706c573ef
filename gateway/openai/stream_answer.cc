#include "gateway/http/error.h"
#include "gateway/metering/delivered.h"
#include "gateway/openai/answer_writer.h"
#include "services/common/fault_point.h"

namespace allod::gateway::openai {
namespace {

class StreamAnswer final : public AnswerWriter {
 public:
  explicit StreamAnswer(AnswerTarget target)
      : target_(std::move(target)), choices_(static_cast<std::size_t>(target_.choice_count)) {}

  http::Awaitable<bool> Started(const inference::v1::GenerateResponse::Started& started) override {
    target_.metered.SetPromptTokens(started.prompt_tokens(), started.cached_prompt_tokens());
    PassFaultPoint(FaultPoint::kStreamStarted);
    co_return !target_.out.gone();
  }

  http::Awaitable<bool> Delta(AnswerDelta& delta) override {
    metering::HandOver hand_over(target_.metered, delta.token_count(), metering::HandOver::Part::kPiece);
    PassFaultPoint(FaultPoint::kStreamPieceCounted);
    http::Taken taken = http::Taken::kAll;
    if (!delta.text().empty() || delta.tool_calls_size() > 0 || delta.logprobs_size() > 0) {
      Choice& choice = choices_[static_cast<std::size_t>(delta.choice())];
      const std::string event = SseData(DeltaChunkJson(target_.head, delta, choice.text_offset));
      has_text_ = true;
      taken = co_await Write(event);
    }
    PassFaultPoint(FaultPoint::kStreamPieceTaken);
    if (IsDelivered(taken)) hand_over.Done();
    co_return taken == http::Taken::kAll;
  }

  http::Awaitable<bool> ChoiceFinished(int choice, inference::v1::FinishReason reason) override {
    const std::string event = FinishEvent(choice, reason);
    if (event.empty()) co_return !target_.out.gone();
    has_text_ = true;
    const http::Taken taken = co_await Write(event);
    co_return taken == http::Taken::kAll;
  }

  http::Awaitable<bool> Finished(inference::v1::FinishReason reason) override {
    std::string events;
    for (std::size_t i = 0; i < choices_.size(); ++i) events += FinishEvent(static_cast<int>(i), reason);
    if (target_.head.include_usage) {
      events += SseData(UsageChunkJson(target_.head, {target_.metered.prompt_tokens(), target_.metered.delivered(),
                                                      target_.metered.cached_prompt_tokens()}));
    }
    events += kSseDone;
    metering::HandOver hand_over(target_.metered, 0, metering::HandOver::Part::kEnd);
    PassFaultPoint(FaultPoint::kStreamEndCounted);
    const http::Taken taken = co_await Write(events);
    if (taken == http::Taken::kAll) co_await target_.out.EndStream();
    PassFaultPoint(FaultPoint::kStreamEndTaken);
    const bool delivered = IsDelivered(taken);
    if (delivered) hand_over.Done();
    co_return delivered;
  }

  http::Awaitable<bool> KeepAlive() override {
    const bool open = co_await Open();
    if (!open) co_return false;
    const std::string event = SseComment("keep-alive");
    const http::Taken taken = co_await target_.out.Write(event);
    co_return taken == http::Taken::kAll;
  }

  http::Awaitable<void> Fail(const Error& error, const std::string& param) override {
    if (!open_) {
      http::Response refusal = OpenAiFailure(error, param, target_.headers);
      co_await target_.out.Send(std::move(refusal));
      co_return;
    }
    const std::string event = SseData(http::OpenAiErrorJson(error, param));
    co_await target_.out.Write(event);
    target_.out.Abort();
  }

  bool has_text() const override { return has_text_ || target_.metered.delivered() > 0; }

 private:
  struct Choice {
    bool finished = false;
    std::int64_t text_offset = 0;
  };

  // Empty when it was sent before.
  std::string FinishEvent(int index, inference::v1::FinishReason reason) {
    Choice& choice = choices_[static_cast<std::size_t>(index)];
    if (std::exchange(choice.finished, true)) return "";
    return SseData(FinishChunkJson(target_.head, index, reason));
  }

  bool IsDelivered(http::Taken taken) const { return metering::IsDelivered(taken, target_.out.shutting_down()); }

  // The roles come with the first event.
  http::Awaitable<http::Taken> Write(const std::string& events) {
    const bool open = co_await Open();
    if (!open) co_return http::Taken::kNothing;
    std::string all;
    if (target_.head.chat && !std::exchange(roles_sent_, true)) {
      for (std::size_t i = 0; i < choices_.size(); ++i)
        all += SseData(StartChunkJson(target_.head, static_cast<int>(i)));
    }
    all += events;
    const http::Taken taken = co_await target_.out.Write(all);
    co_return taken;
  }

  http::Awaitable<bool> Open() {
    if (open_) co_return !target_.out.gone();
    open_ = true;
    const bool sent = co_await target_.out.StartStream(target_.headers);
    co_return sent && !target_.out.gone();
  }

  const AnswerTarget target_;
  std::vector<Choice> choices_;
  bool open_ = false;
  bool roles_sent_ = false;
  bool has_text_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeStreamAnswer(AnswerTarget target) {
  return std::make_unique<StreamAnswer>(std::move(target));
}

}  // namespace allod::gateway::openai
