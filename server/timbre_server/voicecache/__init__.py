"""voicecache"""
