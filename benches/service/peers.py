worst=flood=start=edited=reload=memory=tests=selection=None
