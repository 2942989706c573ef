#include "gateway/openai/answer_writer.h"

namespace allod::gateway::openai {
namespace {

class WholeAnswer final : public AnswerWriter {
 public:
  WholeAnswer(AnswerHead head, http::Headers headers, int choice_count, metering::MeteredRequest& metered,
              http::ResponseWriter& out)
      : head_(std::move(head)),
        headers_(std::move(headers)),
        choices_(static_cast<std::size_t>(choice_count)),
        metered_(metered),
        out_(out) {}

  http::Awaitable<bool> Started(const inference::v1::GenerateResponse::Started& started) override {
    metered_.SetPromptTokens(started.prompt_tokens(), started.cached_prompt_tokens());
    // Nothing of an earlier try was given to the client.
    choices_.assign(choices_.size(), {});
    token_count_ = 0;
    co_return !out_.gone();
  }

  http::Awaitable<bool> Delta(AnswerDelta& delta) override {
    token_count_ += delta.token_count();
    choices_[static_cast<std::size_t>(delta.choice())].Add(std::move(delta));
    co_return !out_.gone();
  }

  http::Awaitable<bool> ChoiceFinished(int choice, inference::v1::FinishReason reason) override {
    choices_[static_cast<std::size_t>(choice)].reason = reason;
    co_return !out_.gone();
  }

  http::Awaitable<bool> Finished(inference::v1::FinishReason reason) override {
    for (AnswerChoice& choice : choices_) {
      if (choice.reason == inference::v1::FINISH_REASON_UNSPECIFIED) choice.reason = reason;
    }
    http::Response response;
    response.headers = headers_;
    response.body =
        AnswerJson(head_, choices_, {metered_.prompt_tokens(), token_count_, metered_.cached_prompt_tokens()});
    metering::HandOver hand_over(metered_, token_count_, metering::HandOver::Part::kEnd);
    const bool sent = co_await out_.Send(std::move(response));
    if (sent) hand_over.Done();
    co_return sent;
  }

  http::Awaitable<bool> KeepAlive() override { co_return !out_.gone(); }

  http::Awaitable<void> Fail(const Error& error, const std::string& param) override {
    http::Response refusal = OpenAiFailure(error, param, headers_);
    co_await out_.Send(std::move(refusal));
  }

  bool has_text() const override { return false; }

 private:
  const AnswerHead head_;
  const http::Headers headers_;
  std::vector<AnswerChoice> choices_;
  metering::MeteredRequest& metered_;
  http::ResponseWriter& out_;
  std::int64_t token_count_ = 0;
};

}  // namespace

std::unique_ptr<AnswerWriter> MakeWholeAnswer(AnswerHead head, http::Headers headers, int choice_count,
                                              metering::MeteredRequest& metered, http::ResponseWriter& out) {
  return std::make_unique<WholeAnswer>(std::move(head), std::move(headers), choice_count, metered, out);
}

}  // namespace allod::gateway::openai
