// For tests of handlers: a writer that keeps what it is given and says of all that as much was taken as the test wants,
// and a run of one coroutine to its end.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "gateway/http/response_writer.h"
#include "services/common/trace.h"

namespace allod::gateway::http {

class FakeResponseWriter final : public ResponseWriter {
 public:
  Awaitable<Taken> Send(Response sent) override {
    response = std::move(sent);
    co_return taken;
  }
  Awaitable<bool> StartStream(Headers) override {
    is_gone = is_gone || leaves_with_head;
    co_return true;
  }
  Awaitable<Taken> Write(std::string_view data) override {
    response.body += data;
    co_return taken;
  }
  Awaitable<bool> EndStream() override { co_return true; }
  void Abort() override {}
  const Trace& trace() const override { return trace_; }
  bool gone() const override { return is_gone; }
  bool shutting_down() const override { return is_shutting_down; }
  void OnInterrupt(std::function<void()>) override {}

  Response response{.status = 0, .content_type = "", .headers = {}, .body = ""};
  Taken taken = Taken::kAll;
  bool is_gone = false;
  bool leaves_with_head = false;
  bool is_shutting_down = false;

 private:
  const Trace trace_ = Trace::New();
};

// Rethrows what it throws.
inline void RunToEnd(const std::function<Awaitable<void>()>& coroutine) {
  boost::asio::io_context io;
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, coroutine, [&thrown](std::exception_ptr what) { thrown = std::move(what); });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace allod::gateway::http
