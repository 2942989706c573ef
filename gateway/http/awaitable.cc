#include "gateway/http/awaitable.h"

#include <memory>

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
  const auto call = std::make_shared<Call>(executor);
  start([call, executor](grpc::Status status) {
    asio::post(executor, [call, status = std::move(status)] {
      call->status = status;
      call->done = true;
      call->wakeup.Notify();
    });
  });
  while (!call->done) co_await call->wakeup.Wait(steady_clock::time_point::max());
  co_return call->status;
}

}  // namespace allod::gateway::http
