#include "gateway/openai/generation.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace allod::gateway::openai {

using std::chrono::steady_clock;

namespace {

// The parameter that the answer's constraint came with.
const char* ConstraintParamOf(const inference::v1::GenerateRequest& request) {
  const auto& constraint = request.constraint();
  if (constraint.has_grammar()) return "grammar";
  if (constraint.has_json_schema()) return "response_format.json_schema.schema";
  return request.chat().tools_size() > 0 && !constraint.has_json_object() ? "tools" : "response_format";
}

// Which parameter a refusal of the worker is about.
std::string ParamOf(std::string_view reason, bool chat, const char* constraint) {
  if (reason == "CONTEXT_LENGTH_EXCEEDED" || reason == "TEMPLATE_FAILED" || reason == "TEMPLATE_TOO_COSTLY" ||
      reason == "INVALID_MESSAGE" || reason == "EMPTY_PROMPT" || reason == "TOKENIZE_FAILED") {
    return chat ? "messages" : "prompt";
  }
  if (reason == "MODEL_NOT_GENERATIVE") return "model";
  if (reason == "INVALID_CONSTRAINT" || reason == "CONSTRAINT_TOO_COSTLY") return constraint;
  if (reason == "INVALID_TOOL") return "tools";
  return "";
}

}  // namespace

std::int64_t CompletionTokensMax(std::int64_t asked, int choice_count, std::int64_t context_tokens) {
  return (asked > 0 ? std::min(asked, context_tokens) : context_tokens) * std::max(choice_count, 1);
}

Generation::Generation(inference::v1::GenerateRequest request, const Trace& trace, AnswerWriter& answer,
                       telemetry::InstanceMetrics metrics)
    : request_(std::make_shared<inference::v1::GenerateRequest>(std::move(request))),
      trace_(trace),
      chat_(request_->has_chat()),
      constraint_param_(ConstraintParamOf(*request_)),
      choice_count_(std::max(request_->choice_count(), 1)),
      asked_completion_tokens_(request_->max_completion_tokens()),
      answer_(answer),
      metrics_(std::move(metrics)),
      start_(steady_clock::now()),
      spent_(request_->ByteSizeLong()) {}

serving::TokenBounds Generation::WorstCase(std::int64_t context_tokens) const {
  return {context_tokens, CompletionTokensMax(asked_completion_tokens_, choice_count_, context_tokens)};
}

void Generation::Bound(const serving::TokenBounds& bounds) {
  bounds_ = bounds;
  const auto each = static_cast<std::int32_t>(bounds.completion / choice_count_);
  if (request_->max_completion_tokens() == each) return;
  // The call before may have it still.
  if (request_.use_count() > 1) request_ = std::make_shared<inference::v1::GenerateRequest>(*request_);
  request_->set_max_completion_tokens(each);
}

serving::WorkerCall& Generation::Start(const std::shared_ptr<grpc::Channel>& channel,
                                       serving::WorkerCall::SteadyTime deadline,
                                       const boost::asio::any_io_executor& executor) {
  spent_.Sent();
  tokens_ = 0;
  check_.emplace(*request_, bounds_.prompt);
  call_ = std::make_unique<serving::GenerateCall>(channel, request_, deadline, trace_, executor);
  return *call_;
}

std::string Generation::CheckMessage(const inference::v1::GenerateResponse& message) {
  switch (message.event_case()) {
    case inference::v1::GenerateResponse::kStarted:
      return check_->Started(message.started());
    case inference::v1::GenerateResponse::kDelta:
      return check_->Delta(message.delta());
    case inference::v1::GenerateResponse::kChoiceFinished:
      return check_->ChoiceFinished(message.choice_finished());
    case inference::v1::GenerateResponse::kFinished:
      return check_->Finished(message.finished());
    case inference::v1::GenerateResponse::EVENT_NOT_SET:
      return "the replica sent a message that is none";
  }
  return "";
}

std::int64_t Generation::CompletionTokens() const {
  const inference::v1::GenerateResponse& message = call_->message();
  return tokens_ + (message.has_delta() ? std::max(message.delta().token_count(), 0) : 0);
}

http::Awaitable<serving::WorkerJob::Progress> Generation::TakeMessage() {
  inference::v1::GenerateResponse& message = call_->message();
  if (message.has_started() && message.started().prompt_tokens() > bounds_.prompt) {
    // It runs with more context than the route said when the money was held: the route of that worker will come.
    error_ = Error{Code::kUnavailable, "BEYOND_HOLD", "the instance is being updated; try again"};
    co_return Progress::kRefused;
  }
  if (std::string wrong = CheckMessage(message); !wrong.empty()) co_return Broken(std::move(wrong));
  bool client_there = true;
  if (message.has_started()) {
    if (!started_) metrics_.ObserveWait(steady_clock::now() - start_);
    started_ = true;
    spent_.Read(message.started().prompt_tokens());
    client_there = co_await answer_.Started(message.started());
  } else if (message.has_delta()) {
    spent_.Computed(message.delta().token_count());
    tokens_ += message.delta().token_count();
    client_there = co_await answer_.Delta(*message.mutable_delta());
    if (client_there) CountDelta();
    if (answer_.has_text()) request_.reset();
  } else if (message.has_choice_finished()) {
    const auto& finished = message.choice_finished();
    client_there = co_await answer_.ChoiceFinished(finished.choice(), finished.reason());
  } else if (message.has_finished()) {
    client_there = co_await answer_.Finished(message.finished().reason());
    if (client_there) co_return Progress::kAnswered;
  }
  co_return client_there ? Progress::kMore : Progress::kClientGone;
}

http::Awaitable<serving::WorkerJob::Progress> Generation::TakeEnd() {
  co_return Broken("the replica ended without an answer");
}

http::Awaitable<serving::WorkerJob::Progress> Generation::EndAtLimit() {
  if (tokens_ == 0 && !answer_.has_text()) co_return Progress::kMore;
  const bool client_there = co_await answer_.Finished(inference::v1::FINISH_REASON_LENGTH);
  co_return client_there ? Progress::kAnswered : Progress::kClientGone;
}

serving::WorkerJob::Progress Generation::Broken(std::string what) {
  error_ = Error{Code::kInternal, "WORKER_LOST", std::move(what)};
  return Progress::kRefused;
}

http::Awaitable<void> Generation::Fail(const Error& error) {
  if (serving::NotTakenUp(error)) spent_.NotTakenUp();
  const std::string param = ParamOf(error.reason, chat_, constraint_param_);
  co_await answer_.Fail(error, param);
}

void Generation::CountDelta() {
  const steady_clock::time_point now = steady_clock::now();
  if (last_delta_ == steady_clock::time_point{}) {
    metrics_.ObserveFirstToken(now - start_);
  } else {
    metrics_.ObserveNextToken(now - last_delta_);
  }
  last_delta_ = now;
}

}  // namespace allod::gateway::openai
