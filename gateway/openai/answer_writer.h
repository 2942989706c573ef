// Turns what a worker says into what the client reads, and counts what is delivered. One per request.
//
// One writes server-sent events as they come, and sends its head only with the first of them, so that a failure before
// has its HTTP status; the other collects and sends one body. Each method returns false when the client is gone.
#pragma once

#include <memory>
#include <string>

#include "gateway/http/response_writer.h"
#include "gateway/metering/metered_request.h"
#include "gateway/openai/response.h"

namespace allod::gateway::openai {

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  // The prompt was accepted; may come again when a request is retried before any delta.
  virtual http::Awaitable<bool> Started(const inference::v1::GenerateResponse::Started& started) = 0;
  // Takes what `delta` has.
  virtual http::Awaitable<bool> Delta(AnswerDelta& delta) = 0;
  virtual http::Awaitable<bool> ChoiceFinished(int choice, inference::v1::FinishReason reason) = 0;
  // Everything ended; `reason` is that of a choice that was not reported.
  virtual http::Awaitable<bool> Finished(inference::v1::FinishReason reason) = 0;
  // Nothing to say for a while.
  virtual http::Awaitable<bool> KeepAlive() = 0;
  // As a response while nothing was sent yet; later as an error event, after which the connection is cut.
  virtual http::Awaitable<void> Fail(const Error& error, const std::string& param) = 0;
  // Whether a delta was given to the client: from then on the request cannot be tried again.
  virtual bool has_text() const = 0;
};

// Whose answer it is. All references must outlive the writer.
struct AnswerTarget {
  AnswerHead head;
  http::Headers headers;  // of the response, whatever it is
  int choice_count = 1;   // answers that are expected
  metering::MeteredRequest& metered;
  http::ResponseWriter& out;
};
std::unique_ptr<AnswerWriter> MakeStreamAnswer(AnswerTarget target);
std::unique_ptr<AnswerWriter> MakeWholeAnswer(AnswerTarget target);

// The response for an error, with `headers` added.
http::Response OpenAiFailure(const Error& error, const std::string& param, const http::Headers& headers);

}  // namespace allod::gateway::openai
