#include "gateway/metering/delivered.h"
#include "gateway/openai/answer_writer.h"
#include "services/common/fault_point.h"

namespace allod::gateway::openai {
namespace {

class WholeAnswer final : public AnswerWriter {
 public:
  explicit WholeAnswer(AnswerTarget target)
      : target_(std::move(target)), choices_(static_cast<std::size_t>(target_.choice_count)) {}

  http::Awaitable<bool> Started(const inference::v1::GenerateResponse::Started& started) override {
    target_.metered.SetPromptTokens(started.prompt_tokens(), started.cached_prompt_tokens());
    // Nothing of an earlier try was given to the client.
    choices_.assign(choices_.size(), {});
    token_count_ = 0;
    co_return !target_.out.gone();
  }

  http::Awaitable<bool> Delta(AnswerDelta& delta) override {
    token_count_ += delta.token_count();
    choices_[static_cast<std::size_t>(delta.choice())].Add(std::move(delta));
    co_return !target_.out.gone();
  }

  http::Awaitable<bool> ChoiceFinished(int choice, inference::v1::FinishReason reason) override {
    choices_[static_cast<std::size_t>(choice)].reason = reason;
    co_return !target_.out.gone();
  }

  http::Awaitable<bool> Finished(inference::v1::FinishReason reason) override {
    // Of an answer that is sent to who has left before nobody knows whether it was taken.
    if (target_.out.gone()) co_return false;
    for (AnswerChoice& choice : choices_) {
      if (choice.reason == inference::v1::FINISH_REASON_UNSPECIFIED) choice.reason = reason;
    }
    http::Response response;
    response.headers = target_.headers;
    response.body = AnswerJson(target_.head, choices_,
                               {target_.metered.prompt_tokens(), token_count_, target_.metered.cached_prompt_tokens()});
    metering::HandOver hand_over(target_.metered, token_count_, metering::HandOver::Part::kEnd);
    PassFaultPoint(FaultPoint::kAnswerCounted);
    const http::Taken taken = co_await target_.out.Send(std::move(response));
    PassFaultPoint(FaultPoint::kAnswerTaken);
    const bool delivered = metering::IsDelivered(taken, target_.out.shutting_down());
    if (delivered) hand_over.Done();
    co_return delivered;
  }

  http::Awaitable<bool> KeepAlive() override { co_return !target_.out.gone(); }

  http::Awaitable<void> Fail(const Error& error, const std::string& param) override {
    http::Response refusal = OpenAiFailure(error, param, target_.headers);
    co_await target_.out.Send(std::move(refusal));
  }

  bool has_text() const override { return false; }

 private:
  const AnswerTarget target_;
  std::vector<AnswerChoice> choices_;
  std::int64_t token_count_ = 0;
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeWholeAnswer(AnswerTarget target) {
  return std::make_unique<WholeAnswer>(std::move(target));
}

}  // namespace allod::gateway::openai
