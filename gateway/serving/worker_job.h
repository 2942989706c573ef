// What one metered request wants of a worker, and how the client is answered: a generation, an embedding.
//
// The dispatcher starts the job's call on a replica, and again on another while nothing was delivered; see dispatch.h.
#pragma once

#include <memory>
#include <string>

#include "gateway/serving/hold_terms.h"
#include "gateway/serving/spent_tokens.h"
#include "gateway/serving/worker_call.h"
#include "services/common/result.h"

namespace allod::gateway::serving {

// Whether what ended with `error` was never looked at by a worker, so that it cost none anything.
inline bool NotTakenUp(const Error& error) { return error.code == Code::kUnavailable || error.reason == "QUEUE_FULL"; }

class WorkerJob {
 public:
  enum class Progress {
    kMore,
    kAnswered,    // the client has everything
    kClientGone,  // a write failed
    kRefused,     // error() says why; not to be tried again
  };

  virtual ~WorkerJob() = default;
  // The most that the job can use on a worker with that context.
  virtual TokenBounds WorstCase(std::int64_t context_tokens) const = 0;
  // What the next Start() may use: that is what money is held for. The worker is told, and an answer beyond it is
  // refused.
  virtual void Bound(const TokenBounds& bounds) = 0;
  // The job keeps it until the next Start().
  virtual WorkerCall& Start(const std::shared_ptr<grpc::Channel>& channel, WorkerCall::SteadyTime deadline,
                            const boost::asio::any_io_executor& executor) = 0;
  // The call has a message: with it the answer has so many tokens, by what the worker says.
  virtual std::int64_t CompletionTokens() const = 0;
  virtual http::Awaitable<Progress> TakeMessage() = 0;
  // The call ended with status OK.
  virtual http::Awaitable<Progress> TakeEnd() = 0;
  // The request's time is over, and its call is cancelled: ends the answer with what there is of it. kMore when there
  // is nothing.
  virtual http::Awaitable<Progress> EndAtLimit() = 0;
  // After kRefused.
  virtual const Error& error() const = 0;
  // Nothing to say for a while; false when the client is gone.
  virtual http::Awaitable<bool> KeepAlive() = 0;
  // A worker took the request up. Whether anything reached the client: then it is never tried again.
  virtual bool started() const = 0;
  virtual bool delivered() const = 0;
  // What it has cost so far.
  virtual const SpentTokens& spent() const = 0;
  // Tells the client, unless it is gone.
  virtual http::Awaitable<void> Fail(const Error& error) = 0;
};

}  // namespace allod::gateway::serving
