// How a request waits for an answer that another thread brings once.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "gateway/http/awaitable.h"
#include "gateway/http/response_writer.h"
#include "services/common/result.h"

namespace allod::gateway::http {

// Nothing when it did not come in `patience`, the client has left or the gateway stops: it is dropped then. `start` is
// given what to call with it, once, from any thread.
template <typename T>
Awaitable<std::optional<Result<T>>> AwaitAnswer(std::function<void(std::function<void(Result<T>)>)> start,
                                                std::chrono::milliseconds patience, ResponseWriter& out) {
  struct Wait {
    explicit Wait(const boost::asio::any_io_executor& executor) : wakeup(executor) {}
    Wakeup wakeup;
    std::optional<Result<T>> answer;
  };
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  const auto wait = std::make_shared<Wait>(executor);
  start([wait, executor](Result<T> answer) {
    boost::asio::post(executor, [wait, answer = std::move(answer)] {
      wait->answer = answer;
      wait->wakeup.Notify();
    });
  });
  const auto until = std::chrono::steady_clock::now() + patience;
  out.OnInterrupt([wait] { wait->wakeup.Notify(); });
  while (!wait->answer && !out.gone() && !out.shutting_down() && std::chrono::steady_clock::now() < until) {
    co_await wait->wakeup.Wait(until);
  }
  out.OnInterrupt(nullptr);
  co_return wait->answer;
}

}  // namespace allod::gateway::http
