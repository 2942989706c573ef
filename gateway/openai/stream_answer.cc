#include "gateway/http/error.h"
#include "gateway/openai/answer_writer.h"

namespace allod::gateway::openai {
namespace {

class StreamAnswer final : public AnswerWriter {
 public:
  StreamAnswer(AnswerHead head, http::Headers headers, int choice_count, metering::MeteredRequest& metered,
               http::ResponseWriter& out)
      : head_(std::move(head)),
        headers_(std::move(headers)),
        choices_(static_cast<std::size_t>(choice_count)),
        metered_(metered),
        out_(out) {}

  http::Awaitable<bool> Started(const inference::v1::GenerateResponse::Started& started) override {
    metered_.SetPromptTokens(started.prompt_tokens(), started.cached_prompt_tokens());
    co_return !out_.gone();
  }

  http::Awaitable<bool> Delta(AnswerDelta& delta) override {
    metering::HandOver hand_over(metered_, delta.token_count(), metering::HandOver::Part::kPiece);
    if (!delta.text().empty() || delta.tool_calls_size() > 0 || delta.logprobs_size() > 0) {
      Choice& choice = choices_[static_cast<std::size_t>(delta.choice())];
      const std::string event = SseData(DeltaChunkJson(head_, delta, choice.text_offset));
      has_text_ = true;
      const bool sent = co_await Write(event);
      if (!sent) co_return false;
    }
    hand_over.Done();
    co_return true;
  }

  http::Awaitable<bool> ChoiceFinished(int choice, inference::v1::FinishReason reason) override {
    const std::string event = FinishEvent(choice, reason);
    if (event.empty()) co_return !out_.gone();
    has_text_ = true;
    const bool sent = co_await Write(event);
    co_return sent;
  }

  http::Awaitable<bool> Finished(inference::v1::FinishReason reason) override {
    std::string events;
    for (std::size_t i = 0; i < choices_.size(); ++i) events += FinishEvent(static_cast<int>(i), reason);
    if (head_.include_usage) {
      events += SseData(
          UsageChunkJson(head_, {metered_.prompt_tokens(), metered_.delivered(), metered_.cached_prompt_tokens()}));
    }
    events += kSseDone;
    metering::HandOver hand_over(metered_, 0, metering::HandOver::Part::kEnd);
    bool sent = co_await Write(events);
    if (sent) sent = co_await out_.EndStream();
    if (sent) hand_over.Done();
    co_return sent;
  }

  http::Awaitable<bool> KeepAlive() override {
    const bool open = co_await Open();
    if (!open) co_return false;
    const std::string event = SseComment("keep-alive");
    const bool sent = co_await out_.Write(event);
    co_return sent;
  }

  http::Awaitable<void> Fail(const Error& error, const std::string& param) override {
    if (!open_) {
      http::Response refusal = OpenAiFailure(error, param, headers_);
      co_await out_.Send(std::move(refusal));
      co_return;
    }
    const std::string event = SseData(http::OpenAiErrorJson(error, param));
    co_await out_.Write(event);
    out_.Abort();
  }

  bool has_text() const override { return has_text_ || metered_.delivered() > 0; }

 private:
  struct Choice {
    bool finished = false;
    std::int64_t text_offset = 0;
  };

  // Empty when it was sent before.
  std::string FinishEvent(int index, inference::v1::FinishReason reason) {
    Choice& choice = choices_[static_cast<std::size_t>(index)];
    if (std::exchange(choice.finished, true)) return "";
    return SseData(FinishChunkJson(head_, index, reason));
  }

  // The roles come with the first event.
  http::Awaitable<bool> Write(const std::string& events) {
    const bool open = co_await Open();
    if (!open) co_return false;
    std::string all;
    if (head_.chat && !std::exchange(roles_sent_, true)) {
      for (std::size_t i = 0; i < choices_.size(); ++i) all += SseData(StartChunkJson(head_, static_cast<int>(i)));
    }
    all += events;
    const bool sent = co_await out_.Write(all);
    co_return sent;
  }

  http::Awaitable<bool> Open() {
    if (open_) co_return !out_.gone();
    open_ = true;
    const bool sent = co_await out_.StartStream(headers_);
    co_return sent;
  }

  const AnswerHead head_;
  const http::Headers headers_;
  std::vector<Choice> choices_;
  metering::MeteredRequest& metered_;
  http::ResponseWriter& out_;
  bool open_ = false;
  bool roles_sent_ = false;
  bool has_text_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeStreamAnswer(AnswerHead head, http::Headers headers, int choice_count,
                                               metering::MeteredRequest& metered, http::ResponseWriter& out) {
  return std::make_unique<StreamAnswer>(std::move(head), std::move(headers), choice_count, metered, out);
}

}  // namespace allod::gateway::openai
