# network/interfaces
