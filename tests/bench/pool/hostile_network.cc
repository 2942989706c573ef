#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "tests/bench/pool/hostile_actions.h"

namespace allod::bench {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

template <typename Address>
bool Connect(int fd, const Address& address, socklen_t bytes = sizeof(Address)) {
  return fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), bytes) == 0;
}
template <typename Address>
bool Bind(int fd, const Address& address, socklen_t bytes = sizeof(Address)) {
  return fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), bytes) == 0;
}

sockaddr_un Path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

sockaddr_un Abstract(const std::string& name, socklen_t& bytes) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
  bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

}  // namespace

std::vector<HostileAction> NetworkActions() {
  using S = const Surroundings&;
  return {
      {"connect_tcp", [](S s) { return Connect(socket(AF_INET, SOCK_STREAM, 0), Loopback(s.tcp_port)); }},
      {"bind_tcp", [](S) { return Bind(socket(AF_INET, SOCK_STREAM, 0), Loopback(0)); }},
      {"send_udp",
       [](S s) {
         const sockaddr_in to = Loopback(s.tcp_port);
         const int fd = socket(AF_INET, SOCK_DGRAM, 0);
         return fd >= 0 && sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 1;
       }},
      {"bind_udp", [](S) { return Bind(socket(AF_INET, SOCK_DGRAM, 0), Loopback(0)); }},
      {"ipv6_socket", [](S) { return socket(AF_INET6, SOCK_STREAM, 0) >= 0; }},
      {"connect_unix_path", [](S s) { return Connect(socket(AF_UNIX, SOCK_STREAM, 0), Path(s.sibling_socket)); }},
      {"bind_unix_path", [](S) { return Bind(socket(AF_UNIX, SOCK_STREAM, 0), Path("/hostile.sock")); }},
      {"connect_unix_abstract",
       [](S s) {
         socklen_t bytes = 0;
         const sockaddr_un to = Abstract(s.abstract_name, bytes);
         return Connect(socket(AF_UNIX, SOCK_STREAM, 0), to, bytes);
       }},
      {"bind_unix_abstract",
       [](S) {
         socklen_t bytes = 0;
         const sockaddr_un at = Abstract("allod-hostile", bytes);
         return Bind(socket(AF_UNIX, SOCK_STREAM, 0), at, bytes);
       }},
      {"raw_socket", [](S) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0; }},
      {"packet_socket", [](S) { return socket(AF_PACKET, SOCK_RAW, 0) >= 0; }},
      {"netlink_socket", [](S) { return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0; }},
      {"vsock_socket", [](S) { return socket(AF_VSOCK, SOCK_STREAM, 0) >= 0; }},
      {"kernel_crypto_socket", [](S) { return socket(AF_ALG, SOCK_SEQPACKET, 0) >= 0; }},
      {"socketpair",
       [](S) {
         int ends[2];
         return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0;
       }},
      {"reconnect_own_listener",
       [](S s) { return Connect(s.listen_fd, Path(s.sibling_socket)) || Connect(s.listen_fd, Loopback(s.tcp_port)); }},
      {"listen_elsewhere", [](S s) { return Bind(s.listen_fd, Path("/elsewhere.sock")); }},
      {"list_interfaces",
       [](S s) {
         ifconf all{};
         return ioctl(s.listen_fd, SIOCGIFCONF, &all) == 0;
       }},
      {"take_descriptor_from_listener",
       [](S s) {
         char byte = 0;
         return recv(s.listen_fd, &byte, 1, MSG_DONTWAIT) > 0;
       }},
  };
}

}  // namespace allod::bench
