"""Run Hive's metastore on loopback only, for our own user only.

Hive's own main listens on every interface and asks nobody who they are. Here the same handler is
put behind a loopback socket, and every connection is checked: its other end must be a socket that
belongs to our user. The kernel knows (``/proc/net/tcp`` names the owner of each socket); what
belongs to somebody else is closed before a request is read.

Argument: the port.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from py4j.java_gateway import CallbackServerParameters, GatewayParameters, JavaGateway, launch_gateway

from infra.services.base import java_openings
from infra.settings import HOST, load


def socket_owner(local_port: int, remote_port: int) -> int | None:
    """Return the user id that owns the loopback socket ``local_port`` → ``remote_port``.

    Java's sockets are dual-stack, so a peer may be listed as an IPv4-mapped IPv6 address.
    """
    addresses = {"0100007F", "0000000000000000FFFF00000100007F"}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                (here, port), (there, peer) = fields[1].split(":"), fields[2].split(":")
                if here in addresses and there in addresses and int(port, 16) == local_port and int(peer, 16) == remote_port:
                    return int(fields[7])
    return None


class OnlyOurUser:
    """``TServerEventHandler``: an exception in ``createContext`` makes the server drop the connection."""

    def __init__(self, gateway: Any, port: int) -> None:
        self._gateway, self._port = gateway, port

    def preServe(self) -> None:
        print(f"metastore: serving on {HOST}:{self._port}", flush=True)

    def createContext(self, incoming: Any, outgoing: Any) -> Any:
        peer = incoming.getTransport().getSocket().getPort()
        owner = socket_owner(peer, self._port)
        if owner != os.geteuid():
            print(f"metastore: refused a connection of user id {owner}", flush=True)
            raise PermissionError("not our user")
        return None

    def deleteContext(self, context: Any, incoming: Any, outgoing: Any) -> None:
        pass

    def processContext(self, context: Any, incoming: Any, outgoing: Any) -> None:
        pass

    class Java:
        implements = ["org.apache.thrift.server.TServerEventHandler"]  # noqa: RUF012 - read by py4j


def main() -> None:
    settings = load()
    port = int(sys.argv[1])
    conf = settings.folder("conf/metastore")
    jars = settings.site_packages / "pyspark" / "jars"
    gateway_port, token = launch_gateway(
        classpath=f"{conf}:{settings.postgres_driver}:{jars}/*",
        javaopts=[f"-Xmx{settings.values['memory']['metastore']}", "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true", f"-Dlog4j2.configurationFile={conf / 'log4j2.properties'}", *java_openings()],
        java_path=settings.java, die_on_exit=True, enable_auth=True, redirect_stdout=sys.stdout, redirect_stderr=sys.stderr,
    )  # fmt: skip
    token = token.decode() if isinstance(token, bytes) else token
    gateway = JavaGateway(
        gateway_parameters=GatewayParameters(port=gateway_port, auth_token=token, auto_convert=True),
        callback_server_parameters=CallbackServerParameters(port=0, auth_token=token, daemonize=True),
    )
    _let_java_call_back(gateway, gateway.get_callback_server().get_listening_port(), token)
    jvm = gateway.jvm
    handler_class = jvm.java.lang.Class.forName("org.apache.hadoop.hive.metastore.HiveMetaStore$HMSHandler")
    hive_conf = jvm.org.apache.hadoop.hive.conf.HiveConf()
    types = gateway.new_array(jvm.java.lang.Class, 3)
    types[0] = jvm.java.lang.Class.forName("java.lang.String")
    types[1] = jvm.java.lang.Class.forName("org.apache.hadoop.hive.conf.HiveConf")
    types[2] = jvm.java.lang.Boolean.TYPE
    arguments = gateway.new_array(jvm.java.lang.Object, 3)
    arguments[0], arguments[1], arguments[2] = "lake", hive_conf, False
    handler = handler_class.getConstructor(types).newInstance(arguments)
    proxied = jvm.org.apache.hadoop.hive.metastore.RetryingHMSHandler.getProxy(hive_conf, handler, True)
    processor = jvm.org.apache.hadoop.hive.metastore.TSetIpAddressProcessor(proxied)
    address = jvm.java.net.InetSocketAddress(HOST, port)
    transport = jvm.org.apache.thrift.transport.TServerSocket(address)
    options = (
        jvm.java.lang.Class.forName("org.apache.thrift.server.TThreadPoolServer$Args").getConstructors()[0].newInstance(_one(gateway, transport))
    )
    options.processor(processor).minWorkerThreads(8).maxWorkerThreads(200)
    server = jvm.org.apache.thrift.server.TThreadPoolServer(options)
    server.setServerEventHandler(OnlyOurUser(gateway, port))
    server.serve()


def _let_java_call_back(gateway: Any, port: int, token: str) -> None:
    """Tell the Java side where we listen and with which token; py4j's own call for it leaves the token out."""
    jvm = gateway.jvm
    java_gateway = gateway.java_gateway_server.getGateway()
    client = jvm.py4j.CallbackClient(port, jvm.java.net.InetAddress.getByName(HOST), token)
    field = java_gateway.getClass().getDeclaredField("cbClient")
    field.setAccessible(True)
    field.set(java_gateway, client)


def _one(gateway: Any, value: Any) -> Any:
    array = gateway.new_array(gateway.jvm.java.lang.Object, 1)
    array[0] = value
    return array


if __name__ == "__main__":
    main()
