// How a handler answers: one whole response, or a stream. One per request; used on the connection's strand only.
#pragma once

#include <functional>
#include <string_view>

#include "gateway/http/awaitable.h"
#include "gateway/http/message.h"
#include "gateway/http/taken.h"

namespace allod::gateway::http {

class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;

  // Each returns once the client's socket has taken the bytes, which is what holds a fast producer back; false, or not
  // kAll, when the client is gone. `data` must stay valid until then. Of a response its head does not count as taken.
  virtual Awaitable<Taken> Send(Response response) = 0;
  // 200 with `headers`, then any number of Write(), then EndStream().
  virtual Awaitable<bool> StartStream(Headers headers) = 0;
  virtual Awaitable<Taken> Write(std::string_view data) = 0;
  virtual Awaitable<bool> EndStream() = 0;
  // Closes the connection in the middle of a stream, so that the client sees that it is not complete.
  virtual void Abort() = 0;

  // Of the request that is answered; passed on with every call made while it lasts, and in every line of the log about
  // it.
  virtual const Trace& trace() const = 0;
  // The client closed the connection (or its sending side), or does not take bytes any more.
  virtual bool gone() const = 0;
  // The server stops and has no more patience; what runs should fail now.
  virtual bool shutting_down() const = 0;
  // Calls `interrupt` on the strand when gone() or shutting_down() becomes true, at once if it is. An empty one clears.
  virtual void OnInterrupt(std::function<void()> interrupt) = 0;
};

}  // namespace allod::gateway::http
