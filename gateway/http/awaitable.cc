#include "gateway/http/awaitable.h"

namespace allod::gateway::http {

namespace asio = boost::asio;
using std::chrono::steady_clock;

Awaitable<bool> Wakeup::Wait(steady_clock::time_point until) {
  if (!notified_) {
    timer_.expires_at(until);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::exchange(notified_, false);
}

Awaitable<grpc::Status> AwaitRpc(std::function<void(std::function<void(grpc::Status)>)> start) {
  struct Call {
    explicit Call(const asio::any_io_executor& executor) : wakeup(executor) {}
    Wakeup wakeup;
    grpc::Status status;
    bool done = false;
  };
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  // Of this frame alone, which stays until `done`: gRPC lets go of its callback when that suits it, on a thread of its
  // own, and the timer's context may be gone by then.
  Call call(executor);
  start([to = &call, executor](grpc::Status status) {
    asio::post(executor, [to, status = std::move(status)] {
      to->status = status;
      to->done = true;
      to->wakeup.Notify();
    });
  });
  while (!call.done) co_await call.wakeup.Wait(steady_clock::time_point::max());
  co_return call.status;
}

}  // namespace allod::gateway::http
