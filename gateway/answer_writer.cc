#include "gateway/answer_writer.h"

#include "gateway/http_error.h"

namespace allod::gateway {
namespace {

class StreamAnswer final : public AnswerWriter {
 public:
  StreamAnswer(AnswerHead head, HttpHeaders headers, MeteredRequest& metered, ResponseWriter& out)
      : head_(std::move(head)), headers_(std::move(headers)), metered_(metered), out_(out) {}

  Awaitable<bool> Started(std::int64_t prompt_tokens) override {
    metered_.SetPromptTokens(prompt_tokens);
    const bool open = co_await Open();
    if (!open || role_sent_ || !head_.chat) co_return open;
    role_sent_ = true;
    const std::string event = SseData(StartChunkJson(head_));
    const bool sent = co_await out_.Write(event);
    co_return sent;
  }

  Awaitable<bool> Delta(const std::string& text, std::int64_t token_count) override {
    if (!text.empty()) {
      const std::string event = SseData(DeltaChunkJson(head_, text));
      has_text_ = true;
      const bool sent = co_await out_.Write(event);
      if (!sent) co_return false;
    }
    metered_.AddDelivered(token_count);
    co_return true;
  }

  Awaitable<bool> Finished(inference::v1::FinishReason reason) override {
    std::string events = SseData(FinishChunkJson(head_, reason));
    if (head_.include_usage) {
      events += SseData(UsageChunkJson(head_, {metered_.prompt_tokens(), metered_.delivered()}));
    }
    events += kSseDone;
    bool sent = co_await out_.Write(events);
    if (sent) sent = co_await out_.EndStream();
    co_return sent;
  }

  Awaitable<bool> KeepAlive() override {
    const bool open = co_await Open();
    if (!open) co_return false;
    const std::string event = SseComment("keep-alive");
    const bool sent = co_await out_.Write(event);
    co_return sent;
  }

  Awaitable<void> Fail(const Error& error, const std::string& param) override {
    if (!open_) {
      HttpResponse refusal = OpenAiFailure(error, param, headers_);
      co_await out_.Send(std::move(refusal));
      co_return;
    }
    const std::string event = SseData(OpenAiErrorJson(error, param));
    co_await out_.Write(event);
    out_.Abort();
  }

  bool has_text() const override { return has_text_ || metered_.delivered() > 0; }

 private:
  Awaitable<bool> Open() {
    if (open_) co_return !out_.gone();
    open_ = true;
    const bool sent = co_await out_.StartStream(headers_);
    co_return sent;
  }

  const AnswerHead head_;
  const HttpHeaders headers_;
  MeteredRequest& metered_;
  ResponseWriter& out_;
  bool open_ = false;
  bool role_sent_ = false;
  bool has_text_ = false;
};

class WholeAnswer final : public AnswerWriter {
 public:
  WholeAnswer(AnswerHead head, HttpHeaders headers, MeteredRequest& metered, ResponseWriter& out)
      : head_(std::move(head)), headers_(std::move(headers)), metered_(metered), out_(out) {}

  Awaitable<bool> Started(std::int64_t prompt_tokens) override {
    metered_.SetPromptTokens(prompt_tokens);
    // Nothing of an earlier try was given to the client.
    text_.clear();
    token_count_ = 0;
    co_return !out_.gone();
  }

  Awaitable<bool> Delta(const std::string& text, std::int64_t token_count) override {
    text_ += text;
    token_count_ += token_count;
    co_return !out_.gone();
  }

  Awaitable<bool> Finished(inference::v1::FinishReason reason) override {
    HttpResponse response;
    response.headers = headers_;
    response.body = AnswerJson(head_, text_, reason, {metered_.prompt_tokens(), token_count_});
    const bool sent = co_await out_.Send(std::move(response));
    if (sent) metered_.AddDelivered(token_count_);
    co_return sent;
  }

  Awaitable<bool> KeepAlive() override { co_return !out_.gone(); }

  Awaitable<void> Fail(const Error& error, const std::string& param) override {
    HttpResponse refusal = OpenAiFailure(error, param, headers_);
    co_await out_.Send(std::move(refusal));
  }

  bool has_text() const override { return false; }

 private:
  const AnswerHead head_;
  const HttpHeaders headers_;
  MeteredRequest& metered_;
  ResponseWriter& out_;
  std::string text_;
  std::int64_t token_count_ = 0;
};

}  // namespace

HttpResponse OpenAiFailure(const Error& error, const std::string& param, const HttpHeaders& headers) {
  HttpResponse out = ErrorResponse(ErrorStyle::kOpenAi, error, param);
  out.headers.insert(out.headers.end(), headers.begin(), headers.end());
  return out;
}

std::unique_ptr<AnswerWriter> MakeStreamAnswer(AnswerHead head, HttpHeaders headers, MeteredRequest& metered,
                                               ResponseWriter& out) {
  return std::make_unique<StreamAnswer>(std::move(head), std::move(headers), metered, out);
}

std::unique_ptr<AnswerWriter> MakeWholeAnswer(AnswerHead head, HttpHeaders headers, MeteredRequest& metered,
                                              ResponseWriter& out) {
  return std::make_unique<WholeAnswer>(std::move(head), std::move(headers), metered, out);
}

}  // namespace allod::gateway
