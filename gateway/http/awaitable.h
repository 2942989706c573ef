// The coroutine vocabulary of the gateway's edge: Boost.Asio awaitables, and how they wait for what happens elsewhere.
#pragma once

#include <grpcpp/grpcpp.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <utility>

namespace allod::gateway::http {

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

// Lets one coroutine wait for an announcement made on the same strand. An announcement made while nobody waits is kept.
class Wakeup {
 public:
  explicit Wakeup(const boost::asio::any_io_executor& executor) : timer_(executor) {}
  void Notify() {
    notified_ = true;
    timer_.cancel();
  }
  // True when it was notified, false when `until` came first.
  Awaitable<bool> Wait(std::chrono::steady_clock::time_point until);

 private:
  boost::asio::steady_timer timer_;
  bool notified_ = false;
};

// Starts a callback-style RPC and waits for its end. `start` is given the callback to pass to the stub; everything the
// RPC refers to must live in the caller's frame, which this keeps suspended until the RPC is over.
Awaitable<grpc::Status> AwaitRpc(std::function<void(std::function<void(grpc::Status)>)> start);

}  // namespace allod::gateway::http
