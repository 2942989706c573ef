#include "gateway/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gateway/http/connection.h"
#include "gateway/http/connection_table.h"
#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::gateway::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

// Connections whose end is under way, or who are told that there is no place: each for a second at most.
constexpr std::size_t kLeavingMax = 256;

Result<tcp::endpoint> ParseListen(const std::string& listen) {
  const auto bad = [&] {
    return InvalidArgument("CANNOT_LISTEN",
                           fmt::format("cannot listen on {}: write ADDRESS:PORT, e.g. 127.0.0.1:8080", listen));
  };
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return bad();
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port_text = listen.substr(colon + 1);
  if (port_text.empty() || port_text.size() > 5 || port_text.find_first_not_of("0123456789") != std::string::npos)
    return bad();
  const int port = std::stoi(port_text);
  error_code ec;
  const auto address = asio::ip::make_address(host, ec);
  if (ec || port > 65535) return bad();
  return tcp::endpoint(address, static_cast<unsigned short>(port));
}

}  // namespace

struct Server::Impl {
  Impl(const ServerConfig& http_config, Application& served, BodyBudget& body_budget)
      : config(http_config),
        application(served),
        budget(body_budget),
        acceptor(asio::make_strand(io)),
        table(http_config.connections_max, http_config.connections_per_address_max) {}

  Status Listen();
  Awaitable<void> Accept();
  void Serve(tcp::socket socket);
  // False: nothing more is taken in.
  bool AddConnection(const std::shared_ptr<Connection>& connection, bool has_place);
  void RemoveConnection(const std::shared_ptr<Connection>& connection, ConnectionTable::Id place);
  void ShowConnectionCount() const {
    if (config.show_connection_count) telemetry::SetConnections(table.count());
  }

  const ServerConfig config;
  Application& application;
  BodyBudget& budget;
  asio::io_context io;
  tcp::acceptor acceptor;  // on a strand: Accept() and Stop() use it from different threads
  int port = 0;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  std::set<std::shared_ptr<Connection>> connections;
  ConnectionTable table;
};

Status Server::Impl::Listen() {
  ALLOD_TRY(const tcp::endpoint endpoint, ParseListen(config.listen));
  error_code ec;
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) port = acceptor.local_endpoint(ec).port();
  if (ec) return InvalidArgument("CANNOT_LISTEN", fmt::format("cannot listen on {}: {}", config.listen, ec.message()));
  return {};
}

Awaitable<void> Server::Impl::Accept() {
  while (acceptor.is_open()) {
    tcp::socket socket(asio::make_strand(io));
    error_code ec;
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, ec));
    if (!ec) {
      // Without memory for one connection, the next may find some: nobody would accept after this coroutine.
      (void)Catching("accept a connection", [&]() -> Status {
        Serve(std::move(socket));
        return {};
      });
    } else if (acceptor.is_open()) {
      // Out of descriptors, most likely: leave room for connections to end.
      asio::steady_timer pause(io, milliseconds(50));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
  }
}

void Server::Impl::Serve(tcp::socket socket) {
  error_code ec;
  const tcp::endpoint peer = socket.remote_endpoint(ec);
  if (ec) return;
  socket.set_option(tcp::no_delay(true), ec);
  socket.set_option(asio::socket_base::send_buffer_size(config.send_buffer_bytes), ec);
  const std::string address = peer.address().to_string();
  const auto strand = socket.get_executor();
  const auto connection = std::make_shared<Connection>(std::move(socket), address, config, application, budget, table);
  const ConnectionTable::Id place = table.Enter(address, [weak = std::weak_ptr(connection)] {
    if (const auto leaving = weak.lock()) leaving->MakeWay();
  });
  if (!AddConnection(connection, place != 0)) return table.Leave(place);
  asio::co_spawn(
      strand,
      [connection, place]() -> Awaitable<void> { return place == 0 ? connection->TurnAway() : connection->Run(place); },
      [this, connection, place](std::exception_ptr) { RemoveConnection(connection, place); });
}

bool Server::Impl::AddConnection(const std::shared_ptr<Connection>& connection, bool has_place) {
  const std::lock_guard lock(mutex);
  const std::size_t leaving = connections.size() - std::min<std::size_t>(connections.size(), table.count());
  if (stopping || (!has_place && leaving >= kLeavingMax)) return false;
  connections.insert(connection);
  ShowConnectionCount();
  return true;
}

void Server::Impl::RemoveConnection(const std::shared_ptr<Connection>& connection, ConnectionTable::Id place) {
  const std::lock_guard lock(mutex);
  connections.erase(connection);
  table.Leave(place);
  ShowConnectionCount();
  changed.notify_all();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config, Application& application,
                                              BodyBudget& budget) {
  auto impl = std::make_unique<Impl>(config, application, budget);
  ALLOD_CHECK_OK(impl->Listen());
  asio::co_spawn(impl->acceptor.get_executor(), impl->Accept(), asio::detached);
  for (int i = 0; i < config.threads; ++i) {
    impl->threads.emplace_back([io = &impl->io] {
      // What a handler throws is that handler's end; run() may be called again and serves the others.
      while (!Catching("an HTTP thread", [io]() -> Status {
        io->run();
        return {};
      })) {
      }
    });
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() { Stop(milliseconds(0)); }

void Server::Stop(milliseconds grace) {
  Impl& impl = *impl_;
  if (impl.threads.empty()) return;
  asio::post(impl.acceptor.get_executor(), [&impl] {
    error_code ignored;
    impl.acceptor.close(ignored);
  });
  std::unique_lock lock(impl.mutex);
  impl.stopping = true;
  const auto none_left = [&impl] { return impl.connections.empty(); };
  for (const auto& connection : impl.connections) connection->Stop();
  if (!impl.changed.wait_for(lock, grace, none_left)) {
    for (const auto& connection : impl.connections) connection->Shutdown();
    impl.changed.wait(lock, none_left);
  }
  lock.unlock();
  impl.io.stop();
  for (std::thread& thread : impl.threads) thread.join();
  impl.threads.clear();
}

int Server::port() const { return impl_->port; }

int Server::connection_count() const { return impl_->table.count(); }

}  // namespace allod::gateway::http
